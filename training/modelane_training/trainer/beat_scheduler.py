"""Beat's schedule: each recipe that names one, read from the recipes folder, and again when that changes.

recipes → SCHEDULE → ``celery -A modelane_training beat`` → the queue.  A recipe is code: it is run in a
process of its own (:func:`main`), so that beat goes on whatever one does.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
from celery.beat import PersistentScheduler
from celery.schedules import crontab

from modelane.keys import RETRAIN_QUEUE, RETRAIN_TASK
from modelane.settings import Settings
from modelane_training.recipe_files import file_names
from modelane_training.trainer.process_guard import end_group

logger = logging.getLogger(__name__)

#: Seconds between two looks at the recipes folder.
LOOK_S = 30.0
#: Seconds that beat waits for recipes that have changed before it sends what is due, and looks again.
READING_S = 1.0
#: Seconds that recipes may take to be read; who takes longer is passed over, and the others read anew.
READ_LIMIT_S = 60.0


class Scheduled(msgspec.Struct, frozen=True):
    """What one recipe says: when, or why nobody can tell."""

    file: str
    model: str = ""
    schedule: str | None = None
    trouble: str = ""


class RecipeScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's own, which remembers in a file when it has sent what; its entries come from the recipes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._settings = Settings.from_env(os.environ)
        self._seen: object = None  # nothing has been read yet
        self._reading: SimpleQueue[dict[str, Any]] | None = None  # what has changed since, in a thread
        super().__init__(*args, **kwargs)

    def merge_inplace(self, b: dict[str, Any]) -> None:
        # Celery does so at the start, with nothing: what the file remembers stays until recipes are read.
        # They are at the first tick, where a signal may come; here it would have the file opened twice.
        if self._seen is not None:
            super().merge_inplace(b)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if self._seen is None:
            self._take(self._read())
        elif self._reading is None and self._look() != self._seen:
            # Meanwhile the others are due as ever: a recipe that hangs holds up nobody's schedule.
            self._reading = SimpleQueue()
            threading.Thread(target=lambda to=self._reading: to.put(self._read()), daemon=True).start()
        if self._reading is not None:
            with suppress(Empty):
                self._take(self._reading.get(timeout=READING_S))
                self._reading = None
        delay_s: float = super().tick(*args, **kwargs)
        return min(delay_s, LOOK_S if self._reading is None else READING_S)

    def _take(self, entries: dict[str, Any]) -> None:
        self.merge_inplace(entries)
        self.sync()

    def _look(self) -> object:
        """What changes when a recipe does."""
        try:
            return sorted(
                (path.name, path.stat().st_mtime_ns) for path in Path(self._settings.recipes).glob("*.py")
            )
        except OSError as exc:
            return str(exc)

    def _read(self) -> dict[str, Any]:
        self._seen = self._look()
        found = read(self._settings)
        for recipe in found:
            if recipe.trouble:
                logger.error("%s: %s", recipe.file, recipe.trouble, extra={"event": "recipe_unreadable"})
        entries = {
            f"retrain {recipe.model}": {
                "task": RETRAIN_TASK,
                "schedule": crontab.from_string(recipe.schedule),
                "args": (recipe.model,),
                "options": {"queue": RETRAIN_QUEUE},
            }
            for recipe in found
            if recipe.schedule
        }
        told = ", ".join(
            f"{name.removeprefix('retrain ')} at {entries[name]['schedule']}" for name in entries
        )
        logger.info("scheduled: %s", told or "nothing", extra={"event": "schedule_read"})
        return entries


def read(settings: Settings) -> list[Scheduled]:
    """What each recipe of the folder says; one that hangs or ends its process is passed over."""
    names = sorted(path.name for path in Path(settings.recipes).glob("*.py"))
    found: list[Scheduled] = []
    while left := names[len(found) :]:
        said, trouble = _read(settings, left)
        found += said
        if len(said) < len(left):
            found.append(Scheduled(left[len(said)], trouble=trouble))
    return _that_trainers_find(found)


def _that_trainers_find(found: list[Scheduled]) -> list[Scheduled]:
    """Two recipes of one model would take turns unseen: only the one that a trainer runs may say when."""
    named = [each for each in found if each.file in file_names(each.model)]
    models = [each.model for each in named]
    checked = []
    for each in found:
        if each.schedule and each not in named:
            name, _ = file_names(each.model)
            why = f"it is a recipe of {each.model}, and trainers look for {name}: rename it"
            checked.append(Scheduled(each.file, each.model, trouble=f"not scheduled: {why}"))
        elif each.schedule and models.count(each.model) > 1:
            both = " and ".join(other.file for other in named if other.model == each.model)
            why = f"{both} are recipes of one model, {each.model}: remove one of them"
            checked.append(Scheduled(each.file, each.model, trouble=f"not scheduled: {why}"))
        else:
            checked.append(each)
    return checked


def _read(settings: Settings, names: list[str]) -> tuple[list[Scheduled], str]:
    """What the first of these recipes say, and what kept the others from being read."""
    try:
        reader = subprocess.Popen(
            [sys.executable, "-m", __name__, *names],
            env={**os.environ, **settings.to_env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            process_group=0,
        )
    except OSError as exc:
        return [], f"it cannot be read: {exc}"
    try:
        output, _ = reader.communicate(timeout=READ_LIMIT_S)
        trouble = f"reading it ended with exit status {reader.returncode}"
    except subprocess.TimeoutExpired:
        end_group(reader)
        output, _ = reader.communicate()
        trouble = f"it was not read within {READ_LIMIT_S:g} s"
    finally:
        end_group(reader)  # what a recipe has started goes with it
    said: list[Scheduled] = []
    for line in output.splitlines():
        try:
            one = msgspec.json.decode(line, type=Scheduled)
        except msgspec.MsgspecError:
            continue  # a recipe printed it
        if len(said) < len(names) and one.file == names[len(said)]:
            said.append(one)
    return said, trouble


def main() -> None:
    """Say of each recipe that is named when it is due, one JSON document a line."""
    from modelane.errors import ModelaneError  # noqa: PLC0415  # beat itself needs none of this
    from modelane_training.recipe_loader import load_recipe  # noqa: PLC0415

    folder = Path(Settings.from_env(os.environ).recipes)
    for name in sys.argv[1:]:
        try:
            recipe = load_recipe(str(folder / name), folder)
            said = Scheduled(name, recipe.model, recipe.schedule)
        except ModelaneError as error:
            said = Scheduled(name, trouble=str(error))
        print(msgspec.json.encode(said).decode(), flush=True)  # its parent reads it


if __name__ == "__main__":
    main()
