"""Retrainings through the queue by a real trainer; bad recipes fail with the reason and do not harm it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modelane.client.answer import Progress
from modelane.errors import RecipeError, Revoked, RunEnded
from support.event_listener import Listener
from support.processes import Process
from support.waiting import eventually
from support.workplace import LIMIT_MB, SharedStack

HEAD = """
import ctypes, os, time
from pathlib import Path
from sklearn.linear_model import LogisticRegression
from modelane_training.recipe import Recipe
from modelane_training.sources import scikit_learn

HERE = Path(__file__).parent

def forever():
    (HERE / "looping").touch()
    while True:
        pass

def held_up():
    (HERE / "waiting").touch()
    while not (HERE / "go").exists():
        time.sleep(0.05)

def make(seed):
    {order}
    return LogisticRegression(max_iter=500)

recipe = Recipe(model=Path(__file__).stem, source=scikit_learn("iris"), estimator=make)
"""
ORDERS = {
    "good": "pass",
    "raises": "1 / 0",
    "exits": "os._exit(5)",
    "crashes": "ctypes.string_at(0)",
    "greedy": "bytearray(b'1' * 2**31)",
    "loops": "forever()",
    "slow": "held_up()",
}


@pytest.fixture(scope="module")
def workplace(shared_stack: SharedStack) -> SharedStack:
    for model, order in ORDERS.items():
        (shared_stack.recipes / f"{model}.py").write_text(HEAD.replace("{order}", order))
    return shared_stack


@pytest.fixture
def trainer(workplace: SharedStack) -> Iterator[Process]:
    trainer = workplace.training
    yield trainer
    if busy(trainer):  # a failed test must not leave its run to the next test
        trainer.kill()
        workplace.redis.delete(*workplace.redis.keys("modelane.r*"))


@pytest.fixture(scope="module")
def client(workplace):
    return workplace.client(timeout_s=170.0)


@pytest.fixture(scope="module")
def listener(workplace) -> Iterator[Listener]:
    with Listener(workplace.celery) as listener:
        yield listener


def events_of(listener: Listener, id_: str) -> list[str]:
    """Return the types of a request's events without its progress, and the text of the last one."""
    listener.until_ended([id_])
    return [type_ for type_ in listener.types(id_) if type_ != "progress"]


@pytest.mark.parametrize(
    ("model", "error", "sentence"),
    [
        ("raises", RecipeError, "ZeroDivisionError: division by zero (line "),
        # tests/training/test_process.py tests each of them without a trainer
        pytest.param(
            "exits", RunEnded, "exited with status 5 and reported no result", marks=pytest.mark.full
        ),
        pytest.param("crashes", RunEnded, "crashed (SIGSEGV)", marks=pytest.mark.full),
        pytest.param(
            "greedy", RunEnded, f"of memory, more than the limit of {LIMIT_MB} MiB", marks=pytest.mark.full
        ),
        pytest.param("absent", RecipeError, "no recipe for absent", marks=pytest.mark.full),
    ],
)
def test_a_bad_recipe_fails_with_an_error_and_the_trainer_survives(  # noqa: PLR0917
    workplace, trainer, client, listener, model, error, sentence
):
    run = client.retrain(model)

    assert isinstance(run.exception(), error)
    assert sentence in str(run.exception())
    assert events_of(listener, run.id) == ["received", "started", "failed"]
    assert listener.of(run.id)[-1]["exception"].startswith(error.__name__)
    assert sentence in trainer.said
    assert model not in workplace.store.models()
    assert trainer.runs
    assert psutil.Process(trainer.pid).children() == []


def test_progress_is_shown_in_the_client_in_a_stock_result_and_in_events(
    workplace, trainer, client, listener
):
    # Given a run that is fitting
    here = Path(workplace.settings.recipes)
    heard = []
    run = client.retrain("slow", on_progress=heard.append)
    eventually((here / "waiting").exists, "the fit")

    # Then its progress is shown
    eventually(lambda: run.progress and run.progress.step == "fit", "the step")
    stock = workplace.celery.AsyncResult(run.id)
    assert (stock.state, stock.info["step"]) == ("PROGRESS", "fit")
    eventually(
        lambda: any(event.get("result", "").startswith("fit: ") for event in listener.of(run.id)), "it"
    )

    # When a stock client requests the same retraining
    second = workplace.celery.send_task("modelane.retrain", args=["slow"], serializer="json")
    (here / "go").touch()

    # Then both get the same result, and each has its three events
    assert run.result().promoted
    assert second.get(timeout=60)["version"] == run.result().version
    assert workplace.store.versions("slow") == [run.result().version]
    assert [p.step for p in heard if p.step in {"collect", "fit", "publish", "promote"}] == [
        *("collect", "fit", "publish", "promote")
    ]
    assert all(isinstance(p, Progress) and p.detail for p in heard)
    for id_ in (run.id, second.id):
        assert events_of(listener, id_) == ["received", "started", "succeeded"]


@pytest.mark.parametrize("way", ["future", pytest.param("control", marks=pytest.mark.full)])
def test_a_run_that_is_cancelled_stops_and_leaves_nothing(workplace, trainer, client, listener, way):
    looping = Path(workplace.settings.recipes) / "looping"
    looping.unlink(missing_ok=True)
    run = client.retrain("loops")
    eventually(looping.exists, "the loop")

    if way == "future":
        assert run.cancel()
    else:
        workplace.celery.control.revoke(run.id, terminate=True)

    eventually(lambda: psutil.Process(trainer.pid).children() == [], "the run's end", 20)
    assert events_of(listener, run.id) == ["received", "started", "revoked"]
    if way == "control":
        assert isinstance(run.exception(), Revoked)
    assert not (workplace.store.root / "loops").exists()


@pytest.mark.full
def test_a_trainer_that_shuts_down_hands_its_run_to_another_immediately(workplace, trainer, client):
    # Given two trainers, one of which has a run in progress
    looping = Path(workplace.settings.recipes) / "looping"
    looping.unlink(missing_ok=True)
    another = workplace.trainer()
    run = client.retrain("loops")
    eventually(looping.exists, "the loop")
    busy_one, other = (trainer, another) if busy(trainer) else (another, trainer)
    looping.unlink()

    # When that trainer receives SIGTERM
    assert busy_one.end() == 0, busy_one.said

    # Then the other one resumes the run, and no attempt was counted
    eventually(looping.exists, "the loop again")
    assert "given back" in busy_one.said
    assert workplace.redis.hlen("modelane.retrain.dead") == 0
    run.cancel()
    eventually(lambda: not busy(other), "the end")
    assert client.retrain("good").result().promoted
    assert other.end() == 0, other.said


def busy(trainer) -> bool:
    return trainer.runs and bool(psutil.Process(trainer.pid).children())
