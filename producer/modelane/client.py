"""The client: submit rows, get a future.  One implementation for threads and asyncio.

    with Client() as client:
        answer = client.predict("breast-cancer", rows)
        answer.values, answer.version

submit → outbox → Redis → lane → Redis → replies → the future.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import Any, Self, TypeVar

from modelane.connection import require_lanes
from modelane.errors import ClientClosed, TooLarge
from modelane.keys import PREDICT_TASK, RETRAIN_QUEUE, RETRAIN_TASK, check_model_name, predict_queue
from modelane.options import check_columns, check_method, check_params, check_priority, check_seconds
from modelane.prediction import Answer, Prediction, Retrained, read_answer, read_retrained
from modelane.request import describe
from modelane.settings import Settings
from modelane.tables import to_rows
from modelane.tensors import Tensor
from modelane.wire import write_message
from modelane.wires import Wires

T = TypeVar("T")

PREDICTION_LATE = "no answer came in time; is a worker serving this model?"
RETRAINING_LATE = "no verdict came in time; is a trainer running?  The retraining itself is not called off"


class Client:
    """A connection to the lanes; safe to share between threads, event loops, and across a fork.

    A forked child may go on using it; what the parent has sent is answered in the parent only.

    Args:
        url: of Redis; by default the setting ``MODELANE_BROKER_URL``.
        settings: all settings; by default read from the environment.
        timeout_s: how long a request may take, unless it says otherwise.

    Raises:
        SettingsError: a setting has a wrong value, or the broker is not Redis.
        BadInput: ``timeout_s`` is no time to wait.
    """

    def __init__(
        self, url: str | None = None, *, settings: Settings | None = None, timeout_s: float = 30.0
    ) -> None:
        environ = os.environ | ({"MODELANE_BROKER_URL": url} if url else {})
        self._settings = settings or Settings.from_env(environ)
        require_lanes(self._settings)
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        self._lock = threading.Lock()
        self._closed = False
        self._wires: Wires | None = None
        _clients.add(self)

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
            timeout_s: seconds until the future ends with :class:`TimedOut`, or with
                :class:`BrokerUnavailable` if Redis has not even taken the request.
            ttl_s: seconds after which a worker must not begin any more; by default ``timeout_s``.
            priority: 0 (served first) to 9, as Celery has it on Redis.

        Raises:
            BadInput: the rows cannot be sent, or an option is none.
            TooLarge: over ``MODELANE_MAX_REQUEST_BYTES``.
            TryLater: too much waits to be sent already.
            ClientClosed: after :meth:`close`.
        """
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        ttl_s = timeout_s if ttl_s is None else check_seconds("ttl_s", ttl_s)
        body, columns, n_rows = to_rows(rows, check_columns(columns))
        kwargs = {"method": check_method(method), "columns": columns, "params": check_params(params)}
        return self._send(
            Prediction(self._open().new_id(), timeout_s, read_answer, PREDICTION_LATE),
            task=PREDICT_TASK,
            queue=predict_queue(model),
            args=(model, body.extension() if isinstance(body, Tensor) else body),
            kwargs={name: value for name, value in kwargs.items() if value is not None},
            rows=n_rows,
            argsrepr=f"({model!r}, {describe(body)})",
            priority=check_priority(priority),
            ttl_s=ttl_s,
        )

    def predict(self, model: str, rows: Any, **options: Any) -> Answer:
        """:meth:`submit` and wait.  Raises what the future raises: see :mod:`modelane.errors`."""
        return self.submit(model, rows, **options).result()

    def retrain(self, model: str, *, timeout_s: float = 3600.0) -> Prediction[Retrained]:
        """Ask a trainer to train the model anew; the future ends with the gate's verdict."""
        timeout_s = check_seconds("timeout_s", timeout_s)
        return self._send(
            Prediction(self._open().new_id(), timeout_s, read_retrained, RETRAINING_LATE),
            task=RETRAIN_TASK,
            queue=RETRAIN_QUEUE,
            args=(check_model_name(model),),
            kwargs={},
            rows=1,
            argsrepr=f"({model!r},)",
            priority=0,
            ttl_s=None,
        )

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return when Redis has taken all that was submitted so far; what it refused has ended in words.

        Raises:
            BrokerUnavailable: it has not within ``timeout_s``; it goes on being tried.
        """
        if (wires := self._wires) is not None:
            wires.flush(check_seconds("timeout_s", timeout_s))

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, for at most ``timeout_s``; whatever is pending ends with :class:`ClientClosed`."""
        with self._lock:
            self._closed = True
            wires, self._wires = self._wires, None
        if wires is not None:
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

    def _open(self) -> Wires:
        """The threads of this process: started on first use, and again in a forked child."""
        if (wires := self._wires) is not None:
            return wires
        with self._lock:
            if self._closed:
                raise ClientClosed("the client is closed: make a new one")
            if self._wires is None:
                self._wires = Wires(self._settings)
            return self._wires

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # the one before may be held by a thread of the parent
        wires, self._wires = self._wires, None
        if wires is not None:
            wires.leave_behind()


#: Those that a forked child has to part from its parent's.
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)
