"""Celery's pool of threads, which also tells of a call that raised: Celery's own forgets its request then.

handover → Celery's request → THREADS.  A task's own errors are results and never get here; what raises is
around it: a canvas that is no canvas, a task that exits, memory that ran out.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.concurrency import thread

logger = logging.getLogger(__name__)


class TaskPool(thread.TaskPool):  # type: ignore[misc]  # Celery has no types
    """``worker_pool`` of a worker; calls ``error_callback`` as Celery's pool of processes does."""

    def on_apply(  # noqa: PLR0913  Celery's signature
        self,
        target: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        callback: Callable[..., Any] = lambda _: None,
        accept_callback: Callable[..., Any] = lambda *_: None,
        error_callback: Callable[..., Any] = lambda _: None,
        **_: Any,
    ) -> thread.ApplyResult:
        def call() -> None:
            try:
                accept_callback(os.getpid(), time.monotonic())
                callback(target(*args, **kwargs or {}))
            except BaseException as exc:  # of a thread nobody else would see it
                _tell(exc, error_callback)

        return thread.ApplyResult(self.executor.submit(call))


def _tell(exc: BaseException, error_callback: Callable[..., Any]) -> None:
    if isinstance(exc, MemoryError):  # Celery raises that one again, instead of telling it
        exc = WorkerLostError(repr(exc))
    try:
        raise exc
    except BaseException:
        info = ExceptionInfo()
    try:
        error_callback(info)
    except Exception:
        # Celery acknowledges first, stores next, and calls what is linked last, which may raise once more.
        logger.exception("a task's failure was not told to all", extra={"event": "task_failure_failed"})
