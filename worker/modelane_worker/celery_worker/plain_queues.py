"""Have Celery itself consume the queues of the models, on a broker other than Redis, which has no lanes."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps

from modelane.errors import ModelaneError
from modelane_worker.celery_worker.role import Role

logger = logging.getLogger(__name__)


def queues_step(role: Role, *, refresh_s: float) -> type[bootsteps.StartStopStep]:
    """Return a bootstep class for ``app.steps["consumer"]``.

    Args:
        role: knows the queues.
        refresh_s: seconds between two looks for new queues.
    """

    class QueuesStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        name = "Queues"
        requires = frozenset({"celery.worker.consumer.tasks:Tasks"})

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            self._known: set[str] = set()
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            self._look(consumer)
            self._timer = consumer.timer.call_repeatedly(
                refresh_s, consumer.call_soon, (self._look, consumer)
            )

        def stop(self, consumer: Any) -> None:
            if self._timer is not None:
                consumer.timer.cancel(self._timer)

        def _look(self, consumer: Any) -> None:
            """Consume new queues; a queue that an operator has cancelled is not new and stays cancelled."""
            try:
                queues = role.queues()
            except ModelaneError as exc:
                logger.error(  # noqa: TRY400  the error says everything
                    "the queues could not be refreshed, retrying in %g s: %s",
                    refresh_s,
                    exc,
                    extra={"event": "refresh_failed"},
                )
                return
            for queue in queues:
                if queue not in self._known:
                    self._known.add(queue)
                    consumer.add_task_queue(queue)

    return QueuesStep
