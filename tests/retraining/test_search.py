"""Searches by real trainers: shared with idle trainers, and resumed by another one after a kill -9."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from modelane.local.redis_server import RedisServer
from support.waiting import eventually
from support.workplace import Workplace

N_TRIALS = 5
#: Seconds until nested processes have started, on a busy machine.
DEADLINE_S = 300.0

pytestmark = pytest.mark.timeout(2 * DEADLINE_S)
RECIPE = f"""
import time
from pathlib import Path
from sklearn.linear_model import LogisticRegression
from modelane_training.candidate import Candidate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import scikit_learn

GO = Path(__file__).with_name("go")

class Slow(LogisticRegression):
    def fit(self, rows, targets):
        while not GO.exists():
            time.sleep(0.05)
        return super().fit(rows, targets)

def slow(trial):
    return Slow(C=trial.suggest_float("slow.c", 1e-3, 1e3, log=True))

recipe = Recipe(
    model=Path(__file__).stem, source=scikit_learn("iris"), candidates=(Candidate(name="slow", build=slow),),
    budget=Budget(trials={N_TRIALS}, minutes=20),
)
"""


@pytest.fixture
def workplace(tmp_path) -> Iterator[Workplace]:
    for name in ("home", "recipes"):
        (tmp_path / name).mkdir()
    (tmp_path / "recipes/iris.py").write_text(RECIPE)
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer())
        yield Workplace(tmp_path / "home", server, ends, recipes=str(tmp_path / "recipes"), prefix="shop:")


def journal(workplace) -> bytes:
    keys = workplace.redis.keys("shop:modelane.search.*")
    return b"".join(workplace.redis.lrange(keys[0], 0, -1)) if keys else b""


def trials_of(run) -> int:
    """Return the number of finished trials, as the caller of the search sees it."""
    said = run.progress.detail if run.progress else ""
    found = re.match(r"trial (\d+)/", said)
    return int(found[1]) if found else 0


@pytest.mark.full
def test_an_idle_trainer_takes_trials_of_a_search_and_its_keys_are_deleted(workplace, tmp_path):
    # Given a search in progress on one trainer
    workplace.trainer()
    run = workplace.client(timeout_s=DEADLINE_S).retrain("iris")
    eventually(lambda: journal(workplace).count(b'"leader"') == 1, "a first trial", DEADLINE_S)

    # When a second trainer starts
    second = workplace.trainer()

    # Then it also takes a trial
    eventually(lambda: journal(workplace).count(b'"helper"') == 1, "its trial", DEADLINE_S)
    (tmp_path / "recipes/go").touch()
    # And the run ends like any other, within its budget
    assert run.result().promoted
    eventually(lambda: re.search(r"took [1-9]\d* trials of the search", second.said), "its word on it")
    assert workplace.redis.keys("shop:modelane.search*") == []


@pytest.mark.full
def test_a_search_whose_trainer_was_killed_is_resumed_by_another(workplace, tmp_path):
    # Given a search whose trainer is killed
    (tmp_path / "recipes/go").touch()
    first = workplace.trainer()
    run = workplace.client(timeout_s=DEADLINE_S).retrain("iris")
    eventually(lambda: trials_of(run) >= 2, "some trials", DEADLINE_S)
    (tmp_path / "recipes/go").unlink()
    first.kill()

    # When another trainer starts
    second = workplace.trainer()
    eventually(lambda: re.search(r"iris: search \(trial (\d+)/", second.said), "its search", DEADLINE_S)
    (tmp_path / "recipes/go").touch()
    begun_at = int(re.search(r"iris: search \(trial (\d+)/", second.said)[1])

    # Then it does not start from the beginning
    assert begun_at >= 2
    assert run.result().promoted
    assert workplace.redis.keys("shop:modelane.search*") == []
