"""The other side of a fake client: one lane per model, answered by a thread of this process.

The messages come from :mod:`modelane.testing.fake_redis`; the worker's own code reads and answers them.
"""

from __future__ import annotations

import pkgutil
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, Self, cast

from modelane.broker.lease import Settlement
from modelane.client.background_thread import BackgroundThread
from modelane.errors import BadInput, ModelaneError
from modelane.keys import check_model_name, lane_of, predict_queue
from modelane.settings import Settings
from modelane.testing.fake_redis import Memory

#: The worker's half. Imported by name when it is used, because this package must not import the worker.
_WORKER = "modelane_worker.testkit.in_process_worker:InProcess"

#: Seconds that a thread may take to end; a model may still be computing.
_JOIN_S = 1.0


class Worker(Protocol):
    """Answers the messages of one lane."""

    def publish(self, estimator: Any, example_rows: Any) -> str: ...

    def answer(
        self,
        messages: Sequence[bytes],
        *,
        is_revoked: Callable[[str], bool],
        forced_error: Callable[[str], ModelaneError | None],
    ) -> list[Settlement]: ...


class Lanes:
    """Models that answer in this process; several clients may share them.

    Args:
        models: estimators or callables by the name of their model.
        settings: of the worker, such as ``Settings(max_batch_rows=10)``.

    Attributes:
        delay_s: seconds that each batch waits before it is started, as if the worker were busy. Deadlines
            pass during this time, and requests can be cancelled.
    """

    def __init__(self, models: Mapping[str, Any] | None = None, *, settings: Settings | None = None) -> None:
        self.delay_s = 0.0
        self.memory = Memory()
        self._settings = settings or Settings()
        self._workers: dict[str, Worker] = {}
        self._next_failures: defaultdict[str, deque[ModelaneError]] = defaultdict(deque)
        self._failing_requests: dict[str, ModelaneError] = {}
        self._threads: list[threading.Thread] = []
        self._n_holds = 0
        self._closing = threading.Event()
        for model, estimator in (models or {}).items():
            self.publish(model, estimator)

    def publish(self, model: str, estimator: Any, example_rows: Any = None) -> str:
        """Put a model into service, or a new version of it.

        Args:
            model: name of the model.
            estimator: a fitted estimator, or a callable that takes rows of shape (n, d) and returns one
                output per row.
            example_rows: one or more rows as callers send them. They define the names and kinds of the
                columns, so that other rows are refused as a worker refuses them. Without them an estimator
                that was fitted on an array takes as many numbers, and any other model takes all rows.

        Returns:
            The version.

        Raises:
            BadInput: the model's name is wrong, or the estimator does not accept the rows.
        """
        queue = predict_queue(check_model_name(model))
        is_new = queue not in self._workers
        worker = self._workers.get(queue) or pkgutil.resolve_name(_WORKER)(model, self._settings)
        version = cast("Worker", worker).publish(estimator, example_rows)
        if is_new:
            self._workers[queue] = worker
            self.memory.served.add(model)
            thread = BackgroundThread(partial(self._run, queue), f"lane-{queue}")
            self._threads.append(thread)
            thread.start()
        return version

    def fail(self, error: ModelaneError, *, model: str | None = None, times: int = 1) -> None:
        """Make the next requests fail with an error, where and how the real client would raise it.

        Args:
            error: such as ``Expired("…")``, ``PredictionFailed("…")``, or
                ``QueueFull("modelane.predict.churn", 100, 100, 2.5)``. ``submit`` itself raises a plain
                ``TryLater``; all other errors are set on the future.
            model: whose requests fail; None for any model.
            times: number of requests.

        Raises:
            BadInput: not an error of :mod:`modelane.errors`. To see what an exception of the model becomes,
                publish a callable that raises it.
        """
        if not isinstance(error, ModelaneError):
            raise BadInput(
                f"{type(error).__name__} is not an error that a client can see: pass one of "
                "modelane.errors, or publish a callable that raises it"
            )
        self._next_failures[model or ""].extend([error] * times)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Start no requests within a ``with`` block; they wait in their lanes."""
        with self.memory.changed:
            self._n_holds += 1
        try:
            yield
        finally:
            with self.memory.changed:
                self._n_holds -= 1
                self.memory.changed.notify_all()

    def close(self) -> None:
        """Stop answering."""
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

    def _next_failure(self, queue: str) -> ModelaneError | None:
        """Return the error of a lane's next request. Called by :mod:`modelane.testing.client`."""
        with self.memory.changed:
            for model in (lane_of(queue) or queue, ""):
                if self._next_failures[model]:
                    return self._next_failures[model].popleft()
        return None

    def _fail_request(self, id_: str, error: ModelaneError) -> None:
        """Have the lane answer a request with an error. Called by :mod:`modelane.testing.client`."""
        self._failing_requests[id_] = error

    def _run(self, queue: str) -> None:
        while self._wait(queue):
            if self._closing.wait(self.delay_s):
                return
            with self.memory.changed:
                if self._n_holds:
                    continue
                messages = self.memory.take(queue, self._settings.max_batch_requests)
            results = self._workers[queue].answer(
                messages,
                is_revoked=self.memory.revoked.__contains__,
                forced_error=lambda id_: self._failing_requests.pop(id_, None),
            )
            for result in results:
                self.memory.settle(result.id, result.value, ttl_s=result.ttl_s, reply_to=result.reply_to)

    def _wait(self, queue: str) -> bool:
        """Wait until a request can be started; return False when closed."""
        with self.memory.changed:
            self.memory.changed.wait_for(
                lambda: self._closing.is_set() or (self.memory.depth(queue) and not self._n_holds)
            )
        return not self._closing.is_set()
