"""The client: submit rows, get a future.  One implementation for threads and asyncio.

    with Client() as client:
        answer = client.predict("breast-cancer", rows)
        answer.values, answer.version

submit → outbox → Redis → lane → Redis → replies → the future.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from modelane.connection import connect
from modelane.errors import ModelaneError, TimedOut, TooLarge
from modelane.keys import (
    PREDICT_TASK,
    REPLY_CHANNEL_PREFIX,
    RETRAIN_QUEUE,
    RETRAIN_TASK,
    QueueKeys,
    check_model_name,
    predict_queue,
)
from modelane.outbox import Outbox, Outgoing
from modelane.queue import LeasedQueue
from modelane.replies import Replies, Reply
from modelane.settings import Settings
from modelane.tables import to_rows
from modelane.tensors import Tensor
from modelane.wire import describe, write_message

T = TypeVar("T")

#: Requests that may wait to be sent while Redis is away.
MAX_WAITING = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said about one request's rows.

    Attributes:
        values: output i answers row i; labels and numbers in the model's own dtype.
        model: which model.
        version: which of its versions.
        method: which of its methods.
        queued_s: from submit to a worker taking it, by two clocks; never negative.
        predict_s: how long its batch computed.
        batch_rows: rows that were predicted together with it, its own included.
    """

    values: NDArray[Any]
    model: str
    version: str
    method: str
    queued_s: float
    predict_s: float
    batch_rows: int

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=bool(copy))

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """How a retraining ended.

    Attributes:
        model: which model.
        version: the version that was trained.
        promoted: whether it answers requests now.
        reason: the gate's verdict, in words.
        metrics: on the hold-out.
    """

    model: str
    version: str
    promoted: bool
    reason: str
    metrics: dict[str, float]


class Prediction(Future[T], Generic[T]):
    """A future that can also be awaited; it always ends, at the latest at its deadline.

    Attributes:
        id: of the request: the Celery task's id.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  the public name
        timeout_s: float,
        read: Callable[[dict[str, Any]], T],
    ) -> None:
        super().__init__()
        self.id = id
        self.read = read  #: makes the value of what the worker stored
        self.deadline_s = time.monotonic() + timeout_s

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def _end(self, value: T | None = None, error: ModelaneError | None = None) -> None:
        """Set the outcome; a future that was cancelled or has one keeps what it has."""
        try:
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)  # type: ignore[arg-type]  # no error, so there is a value
        except InvalidStateError:
            pass


class Client:
    """A connection to the lanes; safe to share between threads, event loops, and across a fork.

    Args:
        url: of Redis; by default the setting ``MODELANE_BROKER_URL``.
        settings: all settings; by default read from the environment.
        timeout_s: how long a request may take, unless it says otherwise.
    """

    def __init__(
        self, url: str | None = None, *, settings: Settings | None = None, timeout_s: float = 30.0
    ) -> None:
        environ = os.environ | ({"MODELANE_BROKER_URL": url} if url else {})
        self._settings = settings or Settings.from_env(environ)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._wires: _Wires | None = None

    def submit(  # noqa: PLR0913  the options of a request
        self,
        model: str,
        rows: Any,
        *,
        method: str = "predict",
        columns: tuple[str, ...] | None = None,
        params: dict[str, Any] | None = None,
        timeout_s: float | None = None,
        ttl_s: float | None = None,
        priority: int = 0,
    ) -> Prediction[Answer]:
        """Send rows to a model's lane; returns at once.

        Args:
            model: its name.
            rows: a numpy array (n, d), a list of rows or records, a pandas or polars frame.
            method: ``predict``, ``predict_proba``, … whatever the model's card allows.
            columns: names of the columns, where rows do not carry them.
            params: keyword arguments of the method.
            timeout_s: seconds until the future ends with :class:`TimedOut`.
            ttl_s: seconds after which a worker must not begin any more; by default ``timeout_s``.
            priority: 0 (served first) to 9, as Celery has it on Redis.

        Raises:
            BadInput: the rows cannot be sent.
            TooLarge: over ``MODELANE_MAX_REQUEST_BYTES``.
            TryLater: too much waits to be sent already.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        body, columns, n_rows = to_rows(rows, columns)
        kwargs = {"method": method, "columns": columns, "params": params}
        return self._send(
            Prediction(uuid.uuid4().hex, timeout_s, _read_answer),
            task=PREDICT_TASK,
            queue=predict_queue(model),
            args=(model, body.array() if isinstance(body, Tensor) else body),
            kwargs={name: value for name, value in kwargs.items() if value is not None},
            rows=n_rows,
            argsrepr=f"({model!r}, {describe(body)})",
            priority=priority,
            ttl_s=timeout_s if ttl_s is None else ttl_s,
        )

    def predict(self, model: str, rows: Any, **options: Any) -> Answer:
        """:meth:`submit` and wait.  Raises what the future raises: see :mod:`modelane.errors`."""
        return self.submit(model, rows, **options).result()

    def retrain(self, model: str, *, timeout_s: float = 3600.0) -> Prediction[Retrained]:
        """Ask a trainer to train the model anew; the future ends with the gate's verdict."""
        return self._send(
            Prediction(uuid.uuid4().hex, timeout_s, _read_retrained),
            task=RETRAIN_TASK,
            queue=RETRAIN_QUEUE,
            args=(check_model_name(model),),
            kwargs={},
            rows=1,
            argsrepr=f"({model!r},)",
            priority=0,
            ttl_s=None,
        )

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, then stop; futures that are still pending end at their deadline no more."""
        with self._lock:
            wires, self._wires = self._wires, None
        if wires is not None and wires.pid == os.getpid():
            wires.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(  # noqa: PLR0913  a message has this many parts
        self,
        prediction: Prediction[T],
        *,
        task: str,
        queue: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        rows: int,
        argsrepr: str,
        priority: int,
        ttl_s: float | None,
    ) -> Prediction[T]:
        now_s = time.time()
        wires = self._open()
        message = write_message(
            id=prediction.id,
            task=task,
            queue=queue,
            args=args,
            kwargs=kwargs,
            rows=rows,
            argsrepr=argsrepr,
            reply_to=wires.channel,
            sent_s=now_s,
            origin=wires.origin,
            priority=priority,
            expires_s=None if ttl_s is None else now_s + ttl_s,
        )
        if len(message) > self._settings.max_request_bytes:
            raise TooLarge(
                f"the request takes {len(message)} bytes, "
                f"MODELANE_MAX_REQUEST_BYTES allows {self._settings.max_request_bytes}: send fewer rows"
            )
        wires.send(prediction, queue, priority, message)
        return prediction

    def _open(self) -> _Wires:
        """The threads of this process: started on first use, and again in a forked child."""
        wires = self._wires
        if wires is not None and wires.pid == os.getpid():
            return wires
        with self._lock:
            if self._wires is None or self._wires.pid != os.getpid():
                self._wires = _Wires(self._settings)
            return self._wires


class _Wires:
    """What a client has per process: its channel, the pending futures, and the two threads."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.origin = f"{self.pid}@{socket.gethostname()}"
        self.channel = REPLY_CHANNEL_PREFIX + uuid.uuid4().hex
        self._pending: dict[str, Prediction[Any]] = {}
        self._queues: dict[str, LeasedQueue] = {}
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._outbox = Outbox(self._queue, max_depth=settings.max_depth, max_waiting=MAX_WAITING)
        self._replies = Replies(
            self._redis,
            settings.prefix + self.channel,
            settings.prefix,
            deliver=self._deliver,
            overdue=self._overdue,
        )
        self._replies.start()
        self._outbox.start()

    def send(self, prediction: Prediction[Any], queue: str, priority: int, message: bytes) -> None:
        self._pending[prediction.id] = prediction
        prediction.add_done_callback(lambda _: self._pending.pop(prediction.id, None))
        outgoing = Outgoing(
            queue,
            priority,
            message,
            wanted=lambda: not prediction.done(),
            refused=lambda error: prediction._end(error=error),
        )
        try:
            self._outbox.add(outgoing)
        except ModelaneError:
            self._pending.pop(prediction.id, None)
            raise

    def close(self, timeout_s: float) -> None:
        self._outbox.close(timeout_s)
        self._replies.close(timeout_s)
        for prediction in list(self._pending.values()):
            prediction._end(error=TimedOut("the client was closed before the answer came"))
        self._redis.close()

    def _queue(self, name: str) -> LeasedQueue:
        if name not in self._queues:
            self._queues[name] = LeasedQueue(self._redis, QueueKeys(name, self._prefix))
        return self._queues[name]

    def _deliver(self, reply: Reply) -> None:
        prediction = self._pending.get(reply.task_id)
        if prediction is None:
            return  # answered already, or given up
        error = reply.error()
        if error is not None:
            prediction._end(error=error)
        else:
            prediction._end(prediction.read(reply.result))

    def _overdue(self) -> list[str]:
        """Ids that are still pending, after ending those whose deadline has passed."""
        now_s = time.monotonic()
        waiting = list(self._pending.values())
        for prediction in waiting:
            if prediction.deadline_s < now_s:
                prediction._end(error=TimedOut("no answer came in time; is a worker serving this model?"))
        return [prediction.id for prediction in waiting if not prediction.done()]


def _read_answer(result: dict[str, Any]) -> Answer:
    values = result["values"]
    return Answer(
        values=values.array() if isinstance(values, Tensor) else np.array(values),
        model=result["model"],
        version=result["version"],
        method=result["method"],
        queued_s=result["queued_s"],
        predict_s=result["predict_s"],
        batch_rows=result["batch_rows"],
    )


def _read_retrained(result: dict[str, Any]) -> Retrained:
    return msgspec.convert(result, Retrained)
