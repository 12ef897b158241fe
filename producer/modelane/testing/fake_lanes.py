"""The other side of a fake client: a lane for each model, answered by threads of this process.

memory → LANES → the worker's own code → memory.
"""

from __future__ import annotations

import pkgutil
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, Self, cast

from modelane.client.background_thread import OwnThread
from modelane.errors import BadInput, ModelaneError
from modelane.keys import check_model_name, lane_of, predict_queue
from modelane.settings import Settings
from modelane.testing.fake_redis import Memory

#: The worker's half.  Loaded by name when it is used: imports go one way, from worker to here.
_WORKER = "modelane_worker.testkit.in_process_worker:InProcess"

#: Seconds that a thread may take to end; a model may still compute.
_JOIN_S = 1.0


class Ended(NamedTuple):
    """What became of a message; without an id there is nobody to tell."""

    id: str
    document: bytes
    ttl_s: float
    reply_to: str


class Worker(Protocol):
    """What answers the messages of one lane."""

    def publish(self, estimator: Any, example_rows: Any) -> str: ...

    def answer(
        self,
        messages: Sequence[bytes],
        *,
        is_revoked: Callable[[str], bool],
        doomed: Callable[[str], ModelaneError | None],
    ) -> list[Ended]: ...


class Lanes:
    """Models that answer in this process; several clients may share them.

    Args:
        models: estimators or callables by the model's name.
        settings: of the worker, such as ``Settings(max_batch_rows=10)``.

    Attributes:
        delay_s: seconds that each batch waits before it is begun, as behind a busy worker: deadlines pass
            meanwhile, and requests can be called off.
    """

    def __init__(self, models: Mapping[str, Any] | None = None, *, settings: Settings | None = None) -> None:
        self.delay_s = 0.0
        self.memory = Memory()
        self._settings = settings or Settings()
        self._workers: dict[str, Worker] = {}
        self._told: defaultdict[str, deque[ModelaneError]] = defaultdict(deque)
        self._doomed: dict[str, ModelaneError] = {}
        self._threads: list[threading.Thread] = []
        self._held = 0
        self._closing = threading.Event()
        for model, estimator in (models or {}).items():
            self.publish(model, estimator)

    def publish(self, model: str, estimator: Any, example_rows: Any = None) -> str:
        """Put a model into service, or another version of it; returns the version.

        Args:
            model: its name.
            estimator: a fitted estimator, or a callable that gets rows (n, d) and gives one output a row.
            example_rows: one or more rows as callers send them; they tell names and kinds of the columns, so
                that other rows are refused as a worker refuses them.  Without them an estimator that was
                fitted on an array takes as many numbers, and any other takes whatever comes.

        Raises:
            BadInput: not a model's name, or rows that the estimator does not take.
        """
        queue = predict_queue(check_model_name(model))
        is_new = queue not in self._workers
        worker = self._workers.get(queue) or pkgutil.resolve_name(_WORKER)(model, self._settings)
        version = cast("Worker", worker).publish(estimator, example_rows)
        if is_new:
            self._workers[queue] = worker
            self.memory.served.add(model)
            thread = OwnThread(partial(self._run, queue), f"lane-{queue}")
            self._threads.append(thread)
            thread.start()
        return version

    def fail(self, error: ModelaneError, *, model: str | None = None, times: int = 1) -> None:
        """Have the next requests end with an error, where and how the real client would say it.

        Args:
            error: such as ``Expired("…")``, ``PredictionFailed("…")``, or
                ``QueueFull("modelane.predict.churn", 100, 100, 2.5)``; a bare ``TryLater`` is raised by
                ``submit`` itself, all others end the future.
            model: whose requests; None: any model's.
            times: how many.

        Raises:
            BadInput: not an error of Modelane's; to see what a model's own error becomes, give a callable
                that raises it.
        """
        if not isinstance(error, ModelaneError):
            raise BadInput(f"no client ever sees a {type(error).__name__}: take one of modelane.errors")
        self._told[model or ""].extend([error] * times)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin with nothing while this is open; requests wait in their lanes."""
        with self.memory.changed:
            self._held += 1
        try:
            yield
        finally:
            with self.memory.changed:
                self._held -= 1
                self.memory.changed.notify_all()

    def close(self) -> None:
        """Answer nothing more."""
        with self.memory.changed:
            self._closing.set()
            self.memory.changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():  # a future's callback may close it
                thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def told_to_fail(self, queue: str) -> ModelaneError | None:
        """For clients: the error that the next request for a queue ends with."""
        with self.memory.changed:
            for model in (lane_of(queue) or queue, ""):
                if self._told[model]:
                    return self._told[model].popleft()
        return None

    def doom(self, id_: str, error: ModelaneError) -> None:
        """For clients: have the lane end a request so."""
        self._doomed[id_] = error

    def _run(self, queue: str) -> None:
        while self._wait(queue):
            if self._closing.wait(self.delay_s):
                return
            with self.memory.changed:
                if self._held:
                    continue
                messages = self.memory.take(queue, self._settings.max_batch_requests)
            ended = self._workers[queue].answer(
                messages,
                is_revoked=self.memory.revoked.__contains__,
                doomed=lambda id_: self._doomed.pop(id_, None),
            )
            for end in ended:
                self.memory.settle(*end[:2], ttl_s=end.ttl_s, reply_to=end.reply_to)

    def _wait(self, queue: str) -> bool:
        """Until something may be begun; False at the end."""
        with self.memory.changed:
            self.memory.changed.wait_for(
                lambda: self._closing.is_set() or (self.memory.depth(queue) and not self._held)
            )
        return not self._closing.is_set()
