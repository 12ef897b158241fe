"""Serving predictions, end to end: a real Redis, a real worker process, a real client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modelane.errors import BadInput, UnknownMethod
from support.waiting import eventually
from support.workplace import LANE, MODEL, SharedStack


def test_a_client_gets_the_same_answer_as_from_the_model_in_process(shared: SharedStack, rows):
    assert shared.serving.runs

    answer = shared.client().predict(MODEL, rows, method="predict_proba")

    np.testing.assert_array_equal(answer.values, shared.expected(answer.version, rows))
    assert (answer.model, answer.method, answer.batch_rows) == (MODEL, "predict_proba", len(rows))
    assert answer.version == shared.store.champion(MODEL)


def test_many_callers_in_one_batch_get_their_own_answers_and_their_own_errors(shared: SharedStack, rows):
    # Given requests that wait while no worker takes them, the last two invalid
    client = shared.client()
    with shared.held(shared.serving):
        sent = [client.submit(MODEL, rows[n : n + 1], method="predict_proba") for n in range(200)]
        narrow = client.submit(MODEL, rows[:1, :7])
        unknown = client.submit(MODEL, rows[:1], method="explain")
        client.flush()

    answers = [prediction.result() for prediction in sent]
    expected = shared.expected(answers[0].version, rows[:200])
    np.testing.assert_array_equal(np.concatenate([answer.values for answer in answers]), expected)
    assert max(answer.batch_rows for answer in answers) > 1
    with pytest.raises(BadInput, match="takes 30 features, these rows have 7"):
        narrow.result()
    with pytest.raises(UnknownMethod, match="predict_proba"):
        unknown.result()


def test_a_service_with_only_celery_and_redis_gets_an_answer(shared: SharedStack, rows, tmp_path):
    assert shared.serving.runs
    script = tmp_path / "service.py"
    script.write_text(
        f"""
import json, sys
import celery, redis

url = {shared.settings.broker_url!r}
app = celery.Celery(broker=url, backend=url)
result = app.send_task("modelane.predict", args=[{MODEL!r}, {rows[:3].tolist()!r}], queue={LANE!r})
assert redis.Redis.from_url(url).ping()
answer = result.get(timeout=30)
assert not [name for name in sys.modules if name.startswith("modelane")]
print(json.dumps(answer))
"""
    )

    # -I: only installed packages are on its path; it imports none of this project.
    done = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer) == {"model", "version", "method", "values"}
    expected = shared.expected(answer["version"], rows[:3], "predict")
    assert answer["values"] == expected.tolist()


def test_after_kill_9_of_a_worker_every_request_is_answered_and_stored_once(shared: SharedStack, rows):
    # Given many requests, and a listener that counts how often each answer is stored
    stored: Counter[str] = Counter()
    listener = shared.redis.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("celery-task-meta-*")
    listener.get_message(timeout=1)
    app, many = shared.celery, np.resize(rows, (1500, 30))
    with shared.held(shared.serving):
        ids = [
            app.send_task("modelane.predict", args=[MODEL, [row]], queue=LANE, serializer="json").id
            for row in many.tolist()
        ]
        # When a worker is killed as soon as it holds some of them, and the shared worker takes over
        killed = shared.worker(ready=False, max_batch_requests=10)
        eventually(lambda: shared.redis.hlen(f"{LANE}.leased"), "a batch in hand", poll_s=0.002)
        killed.kill()
        left = shared.redis.llen(LANE) + shared.redis.hlen(f"{LANE}.leased")
        assert left > 0, "killed too late to show anything"

    # Then all answers are correct, and each was stored exactly once
    results = {id_: app.AsyncResult(id_).get(timeout=60) for id_ in ids}
    expected = shared.expected(shared.champion, many, "predict")
    assert [results[id_]["values"] for id_ in ids] == [[value] for value in expected.tolist()]
    while (message := listener.get_message(timeout=0.5)) is not None:
        stored[message["channel"].decode().removeprefix("celery-task-meta-")] += 1
    assert stored == Counter(ids)
    assert shared.redis.hlen(f"{LANE}.leased") == 0


def test_a_tampered_version_is_refused_with_the_reason_and_the_old_one_keeps_answering(
    shared: SharedStack, rows
):
    worker = shared.serving
    client = shared.client()
    before = client.predict(MODEL, rows[:5], method="predict_proba")

    # When a new champion appears whose artifact was changed after signing
    store = shared.store
    tampered = shared.bring_spare(1)
    artefact = store.root / MODEL / tampered / "model.joblib"
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"!")
    store.promote(MODEL, tampered)

    # Then the worker logs it, and answers as before
    eventually(lambda: "does not match the sha256 and size on the signed card" in worker.said, "the refusal")
    assert f"{shared.champion} stays in service" in worker.said
    after = client.predict(MODEL, rows[:5], method="predict_proba")
    assert after.version == before.version == shared.champion
    np.testing.assert_array_equal(after.values, before.values)


def test_a_warm_shutdown_leaves_nothing_leased_and_loses_nothing(shared: SharedStack, rows):
    client = shared.client()
    with shared.held(shared.serving):
        # Given a worker whose command line names one of the two models, with small batches
        ending = shared.worker("--models", MODEL, max_batch_requests=16)
        assert {name for name in shared.queues(ending) if "predict" in name} == {LANE}
        sent = [client.submit(MODEL, rows[n % 500 : n % 500 + 1]) for n in range(400)]
        eventually(lambda: any(prediction.done() for prediction in sent), "the first answers", poll_s=0.002)

        # When it is shut down
        assert ending.end() == 0, ending.said
        assert shared.redis.hlen(f"{LANE}.leased") == 0

    # Then another worker answers the other requests
    assert all(prediction.result().values.shape == (1,) for prediction in sent)


def test_a_stopped_worker_that_wakes_up_late_is_fenced_off(shared: SharedStack, rows):
    # Given a worker that is frozen while it holds requests
    client = shared.client()
    with shared.held(shared.serving):
        sent = [client.submit(MODEL, row[None]) for row in np.resize(rows, (1500, 30))]
        frozen = shared.worker(ready=False, max_batch_requests=10)
        eventually(lambda: shared.redis.hlen(f"{LANE}.leased"), "a batch in hand", poll_s=0.002)
        frozen.send(signal.SIGSTOP)
    # When the shared worker takes over and the frozen one wakes up
    answers = [prediction.result() for prediction in sent]
    frozen.send(signal.SIGCONT)

    # Then no answer changes, and the woken worker continues to serve
    assert len(answers) == 1500
    assert shared.redis.hlen(f"{LANE}.leased") == 0
    eventually(lambda: LANE in shared.queues(frozen), "the woken worker")
    frozen.kill()


@pytest.mark.full
def test_the_whole_demo_runs_as_the_readme_says(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "modelane", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=170,
        check=False,
    )

    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout + done.stderr
    assert last.startswith("OK requests=")
    counts = dict(pair.split("=") for pair in last.split()[1:])
    assert counts["requests"] == counts["answered"] == counts["flower"]
    assert counts["wrong"] == "0"
    assert list(Path(tmp_path).iterdir()) == []


@pytest.mark.full
def test_a_request_larger_than_a_batch_does_not_delay_others_and_is_answered(shared: SharedStack, rows):
    # Given a lane that predicts at most 50 rows per batch, and a request of four hundred times as many
    client = shared.client()
    many = np.resize(rows, (20_000, 30))
    with shared.held(shared.serving):
        worker = shared.worker(max_batch_rows=50)
        version = client.predict(MODEL, rows[:1]).version
        large = client.submit(MODEL, many, method="predict_proba")

        # When other requests arrive while it is computed
        small = [client.predict(MODEL, row[None], method="predict_proba").values for row in rows[:30]]

        # Then they are answered before it is done, and its answer is complete
        assert not large.done()
        np.testing.assert_array_equal(np.concatenate(small), shared.expected(version, rows[:30]))
        np.testing.assert_array_equal(large.result().values, shared.expected(version, many))
        worker.kill()
