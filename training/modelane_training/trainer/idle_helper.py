"""What an idle trainer does: help with searches that go on elsewhere.  service → HELPER → process → helping.

A retraining of its own comes first: then the helping process is ended at once, and the search gives up the
one trial that it was at.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from modelane.errors import BrokerUnavailable, ModelaneError
from modelane.settings import Settings
from modelane_training.search.study_store import OpenSearch, Studies
from modelane_training.trainer.run_process import run_apart
from modelane_training.trainer.run_protocol import Order

logger = logging.getLogger(__name__)

#: Seconds between two looks at what can be helped, and whether it still can.
LOOK_S = 2.0


class _Enough(Exception):
    """The search is over, or there is something else to do."""


class Helper:
    """A thread for as long as its trainer lives.

    Args:
        is_idle: whether the trainer has nothing else to do.
        only: models that it trains; empty: all.
    """

    def __init__(self, settings: Settings, is_idle: Callable[[], bool], only: Collection[str] = ()) -> None:
        self._settings = settings
        self._is_idle = is_idle
        self._only = only
        self._studies = Studies(settings)
        self._helped: set[str] = set()
        self._looks_at_s = 0.0
        threading.Thread(target=self._run, daemon=True, name="helper").start()

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_S)
            try:
                self._look()
            except BrokerUnavailable:
                continue  # the lane says so already
            except Exception:
                logger.exception("helping failed", extra={"event": "help_failed"})

    def _look(self) -> None:
        for search in self._studies.open_ones():
            mine = not self._only or search.model in self._only
            if mine and search.run_id not in self._helped and self._is_idle():
                self._help(search)

    def _help(self, search: OpenSearch) -> None:
        said = {"event": "helps", "model": search.model, "run": search.run_id}
        logger.info("%s: helps with the search of run %s", search.model, search.run_id, extra=said)
        try:
            result = run_apart(
                self._settings,
                Order(search.model, search.run_id, helps=True),
                progress=lambda step, detail: None,
                may_publish=lambda: None,
                unwanted=lambda: self._unwanted(search),
            )
            logger.info("%s: took %d of its trials", search.model, result["trials"], extra=said)
        except _Enough:
            return
        except ModelaneError as error:
            logger.info("%s: no help: %s", search.model, error, extra=said)
        self._helped.add(search.run_id)

    def _unwanted(self, search: OpenSearch) -> Exception | None:
        if not self._is_idle():
            return _Enough()
        if time.monotonic() < self._looks_at_s:
            return None
        self._looks_at_s = time.monotonic() + LOOK_S
        try:
            return None if search in self._studies.open_ones() else _Enough()
        except BrokerUnavailable:
            return None
