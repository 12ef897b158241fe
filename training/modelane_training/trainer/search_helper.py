"""Use an idle trainer: take trials of searches that other trainers are executing.

A retraining of its own comes first. The helping process is then killed immediately, and the search repeats
the one trial that the process was working on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from modelane.errors import BrokerUnavailable, ModelaneError
from modelane.settings import Settings
from modelane_training.search.study_store import ActiveSearch, StudyStore
from modelane_training.trainer.run_process import run_in_subprocess
from modelane_training.trainer.run_protocol import RunOrder

logger = logging.getLogger(__name__)

#: Seconds between two checks for searches to help, and whether a search is still active.
CHECK_S = 2.0


class _Stop(Exception):
    """The search has ended, or the trainer is no longer idle."""


class SearchHelper:
    """A background thread that lives as long as its trainer.

    Args:
        settings: of the trainer.
        is_idle: whether the trainer has nothing else to do.
        only: names of the models that it trains; empty means all.
    """

    def __init__(self, settings: Settings, is_idle: Callable[[], bool], only: Collection[str] = ()) -> None:
        self._settings = settings
        self._is_idle = is_idle
        self._only = only
        self._studies = StudyStore(settings)
        self._helped: set[str] = set()
        self._check_at_s = 0.0
        threading.Thread(target=self._run, daemon=True, name="search-helper").start()

    def _run(self) -> None:
        while True:
            time.sleep(CHECK_S)
            try:
                self._check()
            except BrokerUnavailable:
                continue  # the lane logs it
            except Exception:
                logger.exception("helping a search failed", extra={"event": "help_failed"})

    def _check(self) -> None:
        for search in self._studies.active():
            trained_here = not self._only or search.model in self._only
            if trained_here and search.run_id not in self._helped and self._is_idle():
                self._help(search)

    def _help(self, search: ActiveSearch) -> None:
        extra = {"event": "helps", "model": search.model, "run": search.run_id}
        logger.info("%s: helping the search of run %s", search.model, search.run_id, extra=extra)
        try:
            result = run_in_subprocess(
                self._settings,
                RunOrder(search.model, search.run_id, help_search=True),
                progress=lambda step, detail: None,
                may_publish=lambda: None,
                stop_reason=lambda: self._stop_reason(search),
            )
            logger.info("%s: took %d trials of the search", search.model, result["trials"], extra=extra)
        except _Stop:
            return
        except ModelaneError as error:
            logger.info("%s: cannot help the search: %s", search.model, error, extra=extra)
        self._helped.add(search.run_id)

    def _stop_reason(self, search: ActiveSearch) -> Exception | None:
        if not self._is_idle():
            return _Stop()
        if time.monotonic() < self._check_at_s:
            return None
        self._check_at_s = time.monotonic() + CHECK_S
        try:
            return None if search in self._studies.active() else _Stop()
        except BrokerUnavailable:
            return None
