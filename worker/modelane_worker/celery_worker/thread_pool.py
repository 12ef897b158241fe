"""Celery's thread pool, extended to report calls that raise: Celery's own pool loses their requests.

Errors of a task are results and never get here. What raises is around the task: a malformed canvas, a task
that calls ``sys.exit``, or a lack of memory.
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
    """The ``worker_pool`` of a worker; calls ``error_callback`` as Celery's process pool does."""

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
            except BaseException as exc:  # otherwise it would disappear in this thread
                _report(exc, error_callback)

        return thread.ApplyResult(self.executor.submit(call))


def _report(exc: BaseException, error_callback: Callable[..., Any]) -> None:
    if isinstance(exc, MemoryError):  # Celery raises this type again instead of reporting it
        exc = WorkerLostError(repr(exc))
    try:
        raise exc
    except BaseException:
        info = ExceptionInfo()
    try:
        error_callback(info)
    except Exception:
        # Celery acknowledges first, stores next and calls linked tasks last; that last step may raise too.
        logger.exception(
            "the failure of a task was not reported to all of its linked tasks",
            extra={"event": "task_failure_failed"},
        )
