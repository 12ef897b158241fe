"""Trials on Redis: shared with other processes, resumed after a kill -9, and deleted afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis

from modelane.errors import BrokerUnavailable, TrainingError
from modelane.settings import Settings
from modelane_training.recipe import Budget
from modelane_training.search.search import join_search, search
from modelane_training.search.study_store import ActiveSearch, StudyStore
from training.mixed import decided, numbers

TESTS = Path(__file__).parents[1]
RECIPE = decided(numbers(), candidates=("linear", "sgd"), budget=Budget(trials=8, minutes=30))


def find(studies=None, progress=lambda step, detail: None, run_id="r1"):
    return search(numbers(), RECIPE, seed=1, progress=progress, studies=studies, run_id=run_id)


def story(found):
    return [(each.candidate, each.params, each.state, each.folds) for each in found.trials]


@pytest.fixture
def settings(redis_url):
    return Settings(broker_url=redis_url, prefix="shop:")


@pytest.mark.full
def test_a_search_on_redis_equals_one_in_memory_and_its_keys_expire_and_are_deleted(settings, redis_url):
    studies, open_ones = StudyStore(settings), []

    found = find(studies, lambda step, detail: open_ones.append(studies.active()))

    assert story(found) == story(find())
    assert open_ones[0] == [ActiveSearch("mixed", "r1")]
    assert studies.active() == []
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == [b"shop:modelane.search.r1"]
        assert 0 < client.ttl("shop:modelane.search.r1") <= 86_400
        studies.remove("mixed", "r1")
        assert client.keys() == []


PROGRAM = """
import sys, os
sys.path.insert(0, {tests!r})
from training.test_search_shared import Settings, StudyStore, find
if __name__ == "__main__":
    def progress(step, detail):
        print(detail, flush=True)
    find(StudyStore(Settings(broker_url={url!r}, prefix="shop:")), progress)
"""


def test_a_search_whose_process_was_killed_is_resumed_elsewhere_with_the_same_result(settings):
    # Given a search in a process that is killed in the middle of a trial
    program = PROGRAM.format(tests=str(TESTS), url=settings.broker_url)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        said = iter(process.stdout.readline, "")
        assert any(line.startswith("trial 3/8") for line in said)
        os.killpg(process.pid, signal.SIGKILL)

    # When another process resumes it
    seen = []
    found = find(StudyStore(settings), lambda step, detail: seen.append(detail))

    # Then finished trials are kept, and the result is that of an undisturbed search
    assert seen[0].split(",")[0] in {"trial 3/8", "trial 4/8"}
    assert story(found) == story(find())


def test_another_trainer_takes_some_of_the_trials(settings):
    """The leader waits after each of its trials until another process has finished one."""
    took, errors = [], []

    def help_it():
        try:
            took.append(join_search(numbers(), RECIPE, studies=StudyStore(settings), run_id="r1"))
        except BaseException as exc:
            errors.append(exc)

    helper = threading.Thread(target=help_it)

    def progress(step, detail):
        if detail.startswith("trial 2/"):
            helper.start()
            helper.join()

    found = find(StudyStore(settings), progress)

    assert errors == []
    assert took == [6]
    assert len(found.trials) == 8
    assert {each.state for each in found.trials} <= {"finished", "pruned"}


def test_the_trial_of_a_lost_helper_is_abandoned_and_the_budget_is_kept(settings, monkeypatch):
    from modelane_training.search import trials

    monkeypatch.setattr(trials, "_HELPER_START_S", 1.0)

    def progress(step, detail):
        if detail.startswith("trial 2/"):  # a helper takes a trial and is lost
            study = trials.join_study(StudyStore(settings).storage("r1"), "r1")
            study.ask().set_user_attr(trials.BY, trials.HELPER)

    found = find(StudyStore(settings), progress)

    assert len(found.trials) == 8


def test_a_trainer_with_other_data_or_another_recipe_does_not_help(settings):
    find(StudyStore(settings))

    with pytest.raises(TrainingError, match="recipe or the data of mixed differ"):
        join_search(numbers(119), RECIPE, studies=StudyStore(settings), run_id="r1")
    with pytest.raises(TrainingError, match="recipe or the data of mixed differ"):
        join_search(numbers(), decided(numbers()), studies=StudyStore(settings), run_id="r1")
    with pytest.raises(TrainingError, match="has ended, or has not started"):
        join_search(numbers(), RECIPE, studies=StudyStore(settings), run_id="r2")


def test_a_trainer_that_joins_a_finished_search_takes_no_trial(settings):
    find(StudyStore(settings))

    assert join_search(numbers(), RECIPE, studies=StudyStore(settings), run_id="r1") == 0


def test_trials_that_redis_has_lost_are_not_a_recipe_error(settings, redis_url):
    def progress(step, detail):
        if detail.startswith("trial 2/"):
            with redis.Redis.from_url(redis_url) as client:
                client.flushall()

    with pytest.raises(BrokerUnavailable, match="Redis has lost the trials"):
        find(StudyStore(settings), progress)


def test_a_journal_line_whose_reply_was_lost_is_not_written_twice(settings, redis_url, monkeypatch):
    def lossy(self, key, line, real=redis.Redis.rpushx, lost=set()):
        found = real(self, key, line)
        if line not in lost:
            lost.add(line)
            raise redis.ConnectionError("the answer was lost")
        return found

    monkeypatch.setattr(redis.Redis, "rpushx", lossy)

    found = find(StudyStore(settings, sleep=lambda seconds: None))

    monkeypatch.undo()
    assert story(found) == story(find())
