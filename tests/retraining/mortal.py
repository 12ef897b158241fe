"""A trainer whose runs are killed at one point: ``celery -A retraining.mortal worker``."""

from __future__ import annotations

import sys
from typing import Any

from modelane_training.trainer import run_process


def celery_app() -> Any:
    run_process.COMMAND = (sys.executable, "-m", "retraining.mortal_child")
    from modelane_training.celery import app

    return app


app = celery_app()
