"""Beat sends retrain requests on the schedules of the recipes."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import redis

from modelane.keys import RETRAIN_QUEUE
from modelane.protocol import message as wire
from modelane.settings import Settings
from modelane_training.celery import build
from modelane_training.trainer import beat_scheduler, recipe_schedules
from modelane_training.trainer.beat_scheduler import RecipeScheduler
from modelane_training.trainer.recipe_schedules import RecipeSchedule, read_schedules
from support.processes import Program, assert_gone
from support.waiting import eventually

RECIPE = 'recipe = Recipe(model="{model}", source=scikit_learn("iris"), schedule="{schedule}")'


@pytest.fixture
def settings(tmp_path, redis_url, monkeypatch) -> Settings:
    settings = Settings(home=str(tmp_path), recipes=str(tmp_path / "recipes"), broker_url=redis_url)
    for variable, value in settings.to_env().items():
        monkeypatch.setenv(variable, value)
    return settings


@pytest.fixture
def recipes(settings, tmp_path, monkeypatch):
    """Provide recipes without the process that reads them."""
    (tmp_path / "recipes").mkdir()
    said = []
    monkeypatch.setattr(beat_scheduler, "read_schedules", lambda _: list(said))

    def recipes(**schedules: str) -> None:
        said[:] = [RecipeSchedule(f"{model}.py", model, line) for model, line in schedules.items()]
        (tmp_path / "recipes" / f"{len(list((tmp_path / 'recipes').iterdir()))}.py").touch()

    return recipes


def scheduler(settings: Settings, tmp_path) -> RecipeScheduler:
    return RecipeScheduler(app=build(settings), schedule_filename=str(tmp_path / "schedule"))


def planned(beat: RecipeScheduler) -> dict[str, str]:
    return {name: entry.schedule._orig_hour for name, entry in beat.schedule.items()}


def until_planned(beat: RecipeScheduler, plan: dict[str, str]) -> None:
    def is_planned() -> bool:
        assert beat.tick() <= beat_scheduler.CHECK_S
        return planned(beat) == plan

    eventually(is_planned, f"the plan {plan}")


def test_a_broken_recipe_does_not_hide_the_schedules_of_others(settings, write):
    write(RECIPE.format(model="iris", schedule="0 3 * * *"))
    write('recipe = Recipe(model="calm", source=scikit_learn("iris"))', "calm.py")
    write("print('hello'); 1 / 0", "broken.py")
    write("import os; os._exit(3)", "exits.py")

    found = {recipe.file: recipe for recipe in read_schedules(settings)}

    assert (found["iris.py"].model, found["iris.py"].schedule) == ("iris", "0 3 * * *")
    assert (found["calm.py"].model, found["calm.py"].schedule) == ("calm", None)
    assert "ZeroDivisionError" in found["broken.py"].error
    assert "exit status 3" in found["exits.py"].error


@pytest.mark.full
def test_a_recipe_that_hangs_is_skipped_after_its_time_limit(settings, write, monkeypatch):
    write("import time; time.sleep(600)", "hangs.py")
    write(RECIPE.format(model="iris", schedule="0 3 * * *"))
    monkeypatch.setattr(recipe_schedules, "READ_LIMIT_S", 20.0)

    found = {recipe.file: recipe for recipe in read_schedules(settings)}

    assert (found["iris.py"].model, found["iris.py"].schedule) == ("iris", "0 3 * * *")
    assert "could not be read within 20 s" in found["hangs.py"].error


@pytest.mark.full
def test_only_the_recipe_that_trainers_run_is_scheduled_and_a_duplicate_is_logged(
    settings, write, tmp_path, caplog
):
    write(RECIPE.format(model="iris", schedule="0 3 * * *"))
    write(RECIPE.format(model="iris", schedule="0 4 * * *"), "iris_old.py")
    write(RECIPE.format(model="two-names", schedule="0 5 * * *"), "two-names.py")
    write(RECIPE.format(model="two-names", schedule="0 6 * * *"), "two_names.py")
    beat = scheduler(settings, tmp_path)

    with caplog.at_level("ERROR"):
        beat.tick()

    assert planned(beat) == {"retrain iris": "3"}
    assert (
        "iris_old.py: not scheduled: it is a recipe of iris, which trainers look for in iris.py"
        in caplog.text
    )
    for file in ("two-names.py", "two_names.py"):
        assert (
            f"{file}: not scheduled: two-names.py and two_names.py are both recipes of two-names"
            in caplog.text
        )


def test_a_new_changed_or_removed_recipe_is_picked_up_without_a_restart(settings, recipes, tmp_path):
    recipes(iris="0 3 * * *")
    beat = scheduler(settings, tmp_path)
    beat.tick()
    assert planned(beat) == {"retrain iris": "3"}
    began = beat.schedule["retrain iris"].last_run_at

    recipes(iris="0 4 * * *", churn="0 5 * * *")
    until_planned(beat, {"retrain iris": "4", "retrain churn": "5"})
    assert beat.schedule["retrain iris"].last_run_at == began

    recipes(churn="0 5 * * *")
    until_planned(beat, {"retrain churn": "5"})
    beat.close()


def test_a_recipe_that_hangs_does_not_delay_other_schedules(settings, recipes, tmp_path, monkeypatch):
    recipes(iris="0 3 * * *")
    beat = scheduler(settings, tmp_path)
    beat.tick()
    is_over = threading.Event()
    monkeypatch.setattr(beat_scheduler, "read_schedules", lambda _: [] if is_over.wait(60) else None)
    recipes(hangs="0 4 * * *")
    beat.schedule["retrain iris"].last_run_at = datetime.now(UTC) - timedelta(days=2)
    beat._heap = None  # where Celery caches what is due next

    beat.tick()

    with redis.Redis.from_url(settings.broker_url) as server:
        assert server.llen(RETRAIN_QUEUE) == 1
    is_over.set()
    beat.close()


@pytest.mark.full
def test_child_processes_of_a_recipe_end_when_it_has_been_read(settings, write, tmp_path):
    pid = tmp_path / "pid"
    write(f"import subprocess\nopen({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))")

    read_schedules(settings)

    assert_gone(int(pid.read_text()))


def test_a_due_retraining_is_requested_once_even_if_beat_was_down_at_that_time(settings, recipes, tmp_path):
    # Given a beat that was down when a retraining was due
    recipes(iris="0 3 * * *")
    beat = scheduler(settings, tmp_path)
    beat.tick()
    beat.schedule["retrain iris"].last_run_at = datetime.now(UTC) - timedelta(days=2)
    beat.close()

    # When it starts again
    beat = scheduler(settings, tmp_path)
    for _ in range(3):
        beat.tick()
    beat.close()

    # Then there is one message in the queue
    with redis.Redis.from_url(settings.broker_url) as server:
        (message,) = server.lrange(RETRAIN_QUEUE, 0, -1)
    envelope = wire.read_envelope(message)
    assert envelope.headers.task == "modelane.retrain"
    assert wire.read_body(envelope)[0] == ["iris"]


def test_beat_runs_as_compose_and_up_run_it(settings, write, tmp_path):
    write(RECIPE.format(model="iris", schedule="0 3 * * *"))
    command = [sys.executable, "-m", "celery", "-A", "modelane_training", "beat"]
    beat = Program([*command, f"--schedule={tmp_path / 'beat'}", "--loglevel=INFO"], tmp_path / "beat.log")

    eventually(lambda: "scheduled: iris at '0 3 * * *'" in beat.said or not beat.runs, "the plan")

    assert beat.runs, beat.said
    assert beat.end() == 0
