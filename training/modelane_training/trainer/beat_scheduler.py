"""The scheduler of ``celery -A modelane_training beat``: retrain each model when its recipe says.

Reads the schedules of the recipes folder at the start, and again when the folder changes.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from celery.beat import PersistentScheduler
from celery.schedules import crontab

from modelane.keys import RETRAIN_QUEUE, RETRAIN_TASK
from modelane.settings import Settings
from modelane_training.trainer.recipe_schedules import read_schedules

logger = logging.getLogger(__name__)

#: Seconds between two checks of the recipes folder.
CHECK_S = 30.0
#: Seconds that one tick waits for recipes that are being read again.
READING_S = 1.0


class RecipeScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery has no types
    """Celery's scheduler, which stores in a file when it has sent each task, with entries from recipes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._settings = Settings.from_env(os.environ)
        # State of the folder when recipes were last read; None: never.
        self._seen: object = None
        # Receives the entries from a thread that reads recipes again; None: there is no such thread.
        self._reading: SimpleQueue[dict[str, Any]] | None = None
        super().__init__(*args, **kwargs)

    def merge_inplace(self, b: dict[str, Any]) -> None:
        # Celery calls this at its start with no entries, which would remove those stored in the file. Recipes
        # are read at the first tick: a signal that arrived while they are read here would make Celery open
        # the file a second time.
        if self._seen is not None:
            super().merge_inplace(b)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if self._seen is None:
            self._apply(self._read())
        elif self._reading is None and self._folder_state() != self._seen:
            # In a thread: a recipe that hangs must not delay tasks that are due.
            self._reading = SimpleQueue()
            threading.Thread(target=lambda to=self._reading: to.put(self._read()), daemon=True).start()
        if self._reading is not None:
            with suppress(Empty):
                self._apply(self._reading.get(timeout=READING_S))
                self._reading = None
        delay_s: float = super().tick(*args, **kwargs)
        return min(delay_s, CHECK_S if self._reading is None else READING_S)

    def _apply(self, entries: dict[str, Any]) -> None:
        self.merge_inplace(entries)
        self.sync()

    def _folder_state(self) -> object:
        """Return a value that differs after a recipe has been added, changed or removed."""
        try:
            return sorted(
                (path.name, path.stat().st_mtime_ns) for path in Path(self._settings.recipes).glob("*.py")
            )
        except OSError as exc:
            return str(exc)

    def _read(self) -> dict[str, Any]:
        self._seen = self._folder_state()
        recipes = read_schedules(self._settings)
        for recipe in recipes:
            if recipe.error:
                logger.error("%s: %s", recipe.file, recipe.error, extra={"event": "recipe_unreadable"})
        entries = {
            f"retrain {recipe.model}": {
                "task": RETRAIN_TASK,
                "schedule": crontab.from_string(recipe.schedule),
                "args": (recipe.model,),
                "options": {"queue": RETRAIN_QUEUE},
            }
            for recipe in recipes
            if recipe.schedule
        }
        listed = ", ".join(f"{recipe.model} at {recipe.schedule!r}" for recipe in recipes if recipe.schedule)
        logger.info("scheduled: %s", listed or "nothing", extra={"event": "schedule_read"})
        return entries
