"""The main job as its users see it: real Redis, real worker process, real client."""

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
from modelane.keys import predict_queue
from support.waiting import eventually

MODEL = "breast-cancer"
LANE = predict_queue(MODEL)


def test_a_client_gets_what_the_model_says_in_process(workplace, rows):
    worker = workplace.worker()
    client = workplace.client()

    answer = client.predict(MODEL, rows, method="predict_proba")

    np.testing.assert_array_equal(answer.values, workplace.expected(answer.version, rows))
    assert (answer.model, answer.method, answer.batch_rows) == (MODEL, "predict_proba", len(rows))
    assert answer.version == workplace.store.champion(MODEL)
    assert worker.end() == 0, worker.said


def test_many_callers_in_one_batch_get_their_own_answers_and_their_own_errors(workplace, rows):
    # Given requests that gather before a worker is there, the third and the fourth wrong
    client = workplace.client()
    sent = [client.submit(MODEL, rows[n : n + 1], method="predict_proba") for n in range(200)]
    narrow = client.submit(MODEL, rows[:1, :7])
    unknown = client.submit(MODEL, rows[:1], method="explain")

    workplace.worker()

    answers = [prediction.result() for prediction in sent]
    expected = workplace.expected(answers[0].version, rows[:200])
    np.testing.assert_array_equal(np.concatenate([answer.values for answer in answers]), expected)
    assert max(answer.batch_rows for answer in answers) > 1
    with pytest.raises(BadInput, match="takes 30 features, these rows have 7"):
        narrow.result()
    with pytest.raises(UnknownMethod, match="predict_proba"):
        unknown.result()


def test_a_service_with_nothing_but_celery_and_redis_is_answered(workplace, rows, tmp_path):
    workplace.worker()
    script = tmp_path / "service.py"
    script.write_text(
        f"""
import json, sys
import celery, redis

url = {workplace.settings.broker_url!r}
app = celery.Celery(broker=url, backend=url)
result = app.send_task("modelane.predict", args=[{MODEL!r}, {rows[:3].tolist()!r}], queue={LANE!r})
assert redis.Redis.from_url(url).ping()
answer = result.get(timeout=30)
assert not [name for name in sys.modules if name.startswith("modelane")]
print(json.dumps(answer))
"""
    )

    # -I: nothing of this project is on its path but what is installed; it imports none of it.
    done = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert set(answer) == {"model", "version", "method", "values"}
    expected = workplace.expected(answer["version"], rows[:3], "predict")
    assert answer["values"] == expected.tolist()


def test_after_kill_9_of_a_worker_every_request_is_answered_and_stored_once(workplace, rows):
    # Given many requests, and a listener that counts each stored answer's publication
    stored: Counter[str] = Counter()
    listener = workplace.redis.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("celery-task-meta-*")
    listener.get_message(timeout=1)
    app, many = workplace.celery, np.resize(rows, (1500, 30))
    ids = [
        app.send_task("modelane.predict", args=[MODEL, [row]], queue=LANE, serializer="json").id
        for row in many.tolist()
    ]
    # When the first worker is killed as soon as it holds some of them
    first = workplace.worker(ready=False, max_batch_requests=10)
    eventually(lambda: workplace.redis.hlen(f"{LANE}.leased"), "a batch in hand")
    first.kill()
    left = workplace.redis.llen(LANE) + workplace.redis.hlen(f"{LANE}.leased")
    assert left > 0, "killed too late to show anything"
    workplace.worker()

    # Then all are answered, right, and each was stored exactly once
    results = {id_: app.AsyncResult(id_).get(timeout=60) for id_ in ids}
    expected = workplace.expected(workplace.store.champion(MODEL), many, "predict")
    assert [results[id_]["values"] for id_ in ids] == [[value] for value in expected.tolist()]
    while (message := listener.get_message(timeout=0.5)) is not None:
        stored[message["channel"].decode().removeprefix("celery-task-meta-")] += 1
    assert stored == Counter(ids)
    assert workplace.redis.hlen(f"{LANE}.leased") == 0


def test_a_tampered_version_is_refused_in_words_and_the_old_one_goes_on_answering(workplace, rows):
    worker = workplace.worker()
    client = workplace.client()
    before = client.predict(MODEL, rows[:5], method="predict_proba")

    # When a new champion appears whose artefact was changed after signing
    store = workplace.store
    champion = workplace.store.champion(MODEL)
    tampered = workplace.retrain_elsewhere()
    artefact = store.root / MODEL / tampered / "model.joblib"
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"!")
    store.promote(MODEL, tampered)

    # Then the worker says so, and answers as before
    eventually(lambda: "does not match the sha256 and size on the signed card" in worker.said, "the refusal")
    assert f"{champion} stays in service" in worker.said
    after = client.predict(MODEL, rows[:5], method="predict_proba")
    assert after.version == before.version == champion
    np.testing.assert_array_equal(after.values, before.values)


def test_a_promoted_version_takes_over_without_a_failed_or_mixed_request(workplace, rows):
    worker = workplace.worker()
    trainer = workplace.trainer()
    client = workplace.client()
    old = client.predict(MODEL, rows[:1]).version

    # When requests go on while a retraining runs through the queue
    retraining = client.retrain(MODEL)
    answers = []
    while not (retraining.done() and answers and answers[-1][1].version != old):
        sent = [(n, client.submit(MODEL, rows[n : n + 2], method="predict_proba")) for n in range(50)]
        answers += [(n, prediction.result()) for n, prediction in sent]

    # Then each is answered by one version, as that version answers, and the new one has the last word
    outcome = retraining.result()
    assert outcome.promoted, outcome.reason
    assert {answer.version for _, answer in answers} == {old, outcome.version}
    for version in (old, outcome.version):
        expected = workplace.expected(version, rows)
        for n, answer in answers:
            if answer.version == version:
                np.testing.assert_array_equal(answer.values, expected[n : n + 2])
    assert (trainer.end(), worker.end()) == (0, 0)


def test_a_model_that_appears_later_gets_its_lane_by_itself(workplace, rows):
    (workplace.store.root / MODEL).rename(workplace.home / "later")
    worker = workplace.worker(ready=False)
    prediction = workplace.client().submit(MODEL, rows[:1])
    eventually(lambda: workplace.queues(worker), "an idle worker")
    assert not prediction.done()

    (workplace.home / "later").rename(workplace.store.root / MODEL)

    assert prediction.result().model == MODEL


def test_models_may_be_narrowed_on_the_command_line(workplace):
    worker = workplace.worker("--models", "another", ready=False)

    eventually(lambda: workplace.queues(worker), "the worker")

    assert LANE not in workplace.queues(worker)


def test_a_warm_shutdown_leaves_nothing_leased_and_loses_nothing(workplace, rows):
    client = workplace.client()
    first = workplace.worker(max_batch_requests=16)
    sent = [client.submit(MODEL, rows[n % 500 : n % 500 + 1]) for n in range(400)]
    eventually(lambda: any(prediction.done() for prediction in sent), "the first answers")

    assert first.end() == 0, first.said
    assert workplace.redis.hlen(f"{LANE}.leased") == 0
    workplace.worker()

    assert all(prediction.result().values.shape == (1,) for prediction in sent)


def test_a_stopped_worker_that_wakes_up_late_is_fenced_off(workplace, rows):
    # Given a worker that is frozen with requests in hand
    client = workplace.client()
    sent = [client.submit(MODEL, row[None]) for row in np.resize(rows, (1500, 30))]
    frozen = workplace.worker(ready=False, max_batch_requests=10)
    eventually(lambda: workplace.redis.hlen(f"{LANE}.leased"), "a batch in hand")
    frozen.send(signal.SIGSTOP)
    # When another one takes over and the first one wakes up
    workplace.worker()
    answers = [prediction.result() for prediction in sent]
    frozen.send(signal.SIGCONT)

    # Then nothing changes any more, and the first one goes on serving
    assert len(answers) == 1500
    assert workplace.redis.hlen(f"{LANE}.leased") == 0
    eventually(lambda: LANE in workplace.queues(frozen), "the woken worker")


def test_celery_and_flower_see_a_lane_as_a_queue(workplace, rows):
    worker = workplace.worker()
    control, client = workplace.celery.control, workplace.client()
    client.predict(MODEL, rows[:1])

    stats = control.inspect([worker.name]).stats()[worker.name]
    assert stats["total"]["modelane.predict"] >= 1
    assert stats["lanes"] == [LANE] or LANE in str(stats)

    control.cancel_consumer(LANE, reply=True)
    eventually(lambda: LANE not in workplace.queues(worker), "the lane's end")
    waiting = client.submit(MODEL, rows[:1])
    control.add_consumer(LANE, reply=True)
    assert waiting.result().model == MODEL


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


def test_a_request_larger_than_a_batch_holds_up_nobody_and_is_answered_too(workplace, rows):
    # Given a lane that predicts at most 50 rows at once, and a request of four hundred times as many
    workplace.worker(max_batch_rows=50)
    client = workplace.client()
    many = np.resize(rows, (20_000, 30))
    version = client.predict(MODEL, rows[:1]).version
    large = client.submit(MODEL, many, method="predict_proba")

    # When others ask meanwhile
    small = [client.predict(MODEL, row[None], method="predict_proba").values for row in rows[:30]]

    # Then they are answered before it is done, and it is answered whole
    assert not large.done()
    np.testing.assert_array_equal(np.concatenate(small), workplace.expected(version, rows[:30]))
    np.testing.assert_array_equal(large.result().values, workplace.expected(version, many))
