"""What a Celery worker needs to know about its purpose: the interface between this room and the roles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from modelane.settings import Settings
from modelane_worker.lanes.progress_reporter import ProgressReporter
from modelane_worker.lanes.service import Service
from modelane_worker.registry.card import Card


class Role(Protocol):
    """The purpose of a worker: to predict (``PredictRole``) or to retrain (``TrainRole``)."""

    @property
    def task(self) -> str:
        """Name of the task that its lanes answer."""
        ...

    @property
    def settings(self) -> Settings:
        """Sizes and times of its lanes."""
        ...

    @property
    def batch_limit_s(self) -> float:
        """Seconds after which a batch counts as hung."""
        ...

    def is_lane(self, queue: str) -> bool:
        """Return whether a queue is drained by a lane, as opposed to Celery."""
        ...

    def service(self, queue: str, reporter: ProgressReporter) -> Service[Any]:
        """Create the service of the lane of a queue."""
        ...

    def select(self, names: Collection[str]) -> None:
        """Serve these models only: the command line's ``--models``."""
        ...

    def queues(self) -> list[str]:
        """Return the queues whose lanes can be opened now.

        Raises:
            ModelaneError: this cannot be found out now; ask again later.
        """
        ...

    def known(self) -> list[str]:
        """Return the names of all models that exist, also of those that other workers serve.

        Raises:
            ModelaneError: as for :meth:`queues`.
        """
        ...

    def cards(self) -> list[Card]:
        """Return the cards of all versions in memory; of each model the version in service first."""
        ...
