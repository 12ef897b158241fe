"""A worker that is killed at one step of a request, or whose clock is wrong.

``FAULT_STEP=reserved|predicting|predicted|settled FAULT_CLOCK_S=seconds celery -A faults.mortal worker``
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from modelane.broker.lease import Reserved, Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane_worker.celery_worker import bootstep
from modelane_worker.inference.engine import Engine
from modelane_worker.serving import live_model

STEP = os.environ.get("FAULT_STEP", "")
CLOCK_S = float(os.environ.get("FAULT_CLOCK_S", "0"))


def die_at(name: str) -> None:
    if name == STEP:
        os.kill(os.getpid(), signal.SIGKILL)


class MortalQueue(LeasedQueue):
    def reserve(self, **limits: Any) -> Reserved:
        reserved = super().reserve(**limits)
        if reserved.leases:
            die_at("reserved")
        return reserved

    def settle(self, settlements: Sequence[Settlement]) -> frozenset[int]:
        die_at("predicted")
        lost = super().settle(settlements)
        die_at("settled")
        return lost


class MortalEngine(Engine):
    def predict(self, *request: Any) -> Any:
        threading.Timer(0.005, die_at, ["predicting"]).start()
        return super().predict(*request)

    def warm_up(self) -> None:
        """Do nothing: the prediction of the example must not kill the worker."""


def celery_app() -> Any:
    """Return the real application with the classes above and a shifted clock."""
    if CLOCK_S:
        right = time.time
        time.time = lambda: right() + CLOCK_S
    bootstep.LeasedQueue = MortalQueue  # type: ignore[misc]
    live_model.Engine = MortalEngine  # type: ignore[misc]
    from modelane_worker.celery import app

    return app


app = celery_app()
