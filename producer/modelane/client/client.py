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
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

from modelane.broker.leased_queue import IdempotencyKey
from modelane.client.answer import (
    Answer,
    Asked,
    Progress,
    Retrained,
    read_answer,
    read_retrained,
    read_shared,
)
from modelane.client.map import Streaming
from modelane.client.options import (
    Options,
    check_columns,
    check_id,
    check_method,
    check_params,
    check_priority,
    check_seconds,
    check_version,
    check_wanted,
)
from modelane.client.prediction import Prediction
from modelane.data.rows import to_rows
from modelane.data.tensor import to_msgpack
from modelane.errors import ClientClosed, TooLarge
from modelane.keys import PREDICT_TASK, RETRAIN_QUEUE, RETRAIN_TASK, check_model_name, predict_queue
from modelane.protocol.message import write_message
from modelane.protocol.redaction import describe
from modelane.protocol.result import write_placeholder
from modelane.settings import Settings

if TYPE_CHECKING:
    from modelane.client.session import Wires

T = TypeVar("T")

PREDICTION_LATE = "no answer came in time; is a worker serving this model?"
ATTACHED_LATE = "no answer came in time; is this the id of a request, and is its answer still kept?"
RETRAINING_LATE = "no verdict came in time; is a trainer running?  The retraining itself is not called off"


class Client(Streaming):
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
        # redis-py takes longer to import than all the rest: here, so that neither `import modelane` waits for
        # it, nor a first submit in the middle of an event loop.
        from modelane.broker import connection  # noqa: PLC0415
        from modelane.client import session as wires  # noqa: PLC0415

        connection.require_lanes(self._settings)
        self._make_wires = wires.Wires
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        self._lock = threading.Lock()
        self._closed = False
        self._wires: Wires | None = None
        _clients.add(self)

    @overload
    def submit(
        self, model: str, rows: Any, *, ignore_result: Literal[False] = False, **options: Unpack[Options]
    ) -> Prediction[Answer]: ...

    @overload
    def submit(
        self, model: str, rows: Any, *, ignore_result: Literal[True], **options: Unpack[Options]
    ) -> Prediction[None]: ...

    def submit(  # noqa: PLR0913  the options of a request
        self,
        model: str,
        rows: Any,
        *,
        method: str = "predict",
        version: str | None = None,
        columns: tuple[str, ...] | None = None,
        params: dict[str, Any] | None = None,
        timeout_s: float | None = None,
        ttl_s: float | None = None,
        priority: int = 0,
        id: str | None = None,  # noqa: A002  the word that users expect
        ignore_result: bool = False,
    ) -> Prediction[Any]:
        """Send rows to a model's lane; returns at once, and never waits for the network.

        Args:
            model: its name.
            rows: a numpy array (n, d), a list of rows or of records, a map of columns, a pandas, polars or
                Arrow table.  Dates with a time zone are converted to UTC.
            method: ``predict``, ``predict_proba``, … whatever the model's card allows.
            version: ask for this published version; by default the champion answers.
            columns: names of the columns, where rows do not carry them.
            params: keyword arguments of the method.
            timeout_s: seconds until the future ends with :class:`TimedOut`, or with
                :class:`BrokerUnavailable` if Redis has not even taken the request.
            ttl_s: seconds after which a worker must not begin any more; by default ``timeout_s``.
            priority: 0 (served first) to 9, as Celery has it on Redis.
            id: a name of your own.  The same id again, from whatever process, computes nothing: it gets the
                answer of the first, as long as that waits, computes, or is kept
                (``MODELANE_RESULT_TTL_S``).  One that expired before a worker began may be sent again.
            ignore_result: the future ends with None as soon as Redis has taken the request; no answer is
                stored.

        Raises:
            BadInput: the rows cannot be sent, or an option is none.
            TooLarge: over ``MODELANE_MAX_REQUEST_BYTES``.
            TryLater: too much waits to be sent already.
            ClientClosed: after :meth:`close`.
        """
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        ttl_s = timeout_s if ttl_s is None else check_seconds("ttl_s", ttl_s)
        body, columns, n_rows = to_rows(rows, check_columns(columns))
        kwargs = {
            "method": check_method(method),
            "columns": columns,
            "params": check_params(params),
            "version": check_version(version),
        }
        queue = predict_queue(model)
        read: Callable[[dict[str, Any]], Answer] = read_answer
        if id is not None:
            asked = Asked(id=check_id(id), model=model, method=method, version=version, n_rows=n_rows)
            read = partial(read_shared, asked)
        return self._send(
            Prediction(
                id or self._open().new_id(),
                timeout_s,
                read,
                PREDICTION_LATE,
                is_shared=id is not None,
                is_ignored=bool(ignore_result),
            ),
            task=PREDICT_TASK,
            queue=queue,
            args=(model, to_msgpack(body)),
            kwargs={name: value for name, value in kwargs.items() if value is not None},
            rows=n_rows,
            argsrepr=f"({model!r}, {describe(body)})",
            priority=check_priority(priority),
            ttl_s=ttl_s,
        )

    def predict(self, model: str, rows: Any, **options: Unpack[Options]) -> Answer:
        """:meth:`submit` and wait.  Raises what the future raises: see :mod:`modelane.errors`."""
        check_wanted(options)
        return self.submit(model, rows, **options).result()

    def attach(
        self,
        id: str,  # noqa: A002  the word that users expect
        *,
        timeout_s: float | None = None,
    ) -> Prediction[Answer]:
        """Wait for a request that another process has sent, or this one before it was started anew.

        It ends with :class:`Revoked` at once if the request was cancelled and has no answer.

        Args:
            id: of the request: :attr:`Prediction.id`, or the ``id`` that it was sent with.
            timeout_s: seconds until the future ends with :class:`TimedOut`; nobody can tell a request that
                never was from one that still waits.

        Raises:
            BadInput: no id that a request can have.
            ClientClosed: after :meth:`close`.
        """
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        prediction = Prediction(check_id(id), timeout_s, read_answer, ATTACHED_LATE, is_shared=True)
        self._open().attach(prediction)
        return prediction

    def retrain(
        self,
        model: str,
        *,
        timeout_s: float = 3600.0,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Prediction[Retrained]:
        """Ask a trainer to train the model anew; the future ends with the gate's verdict.

        One run of a model goes on at a time: who asks meanwhile gets its outcome, too.

        Args:
            model: its name.
            timeout_s: seconds until the future ends with :class:`TimedOut`; the run itself goes on.
            on_progress: called with each step, from a thread of the client; ``progress`` of the future is the
                latest.
        """
        timeout_s = check_seconds("timeout_s", timeout_s)
        prediction = Prediction(self._open().new_id(), timeout_s, read_retrained, RETRAINING_LATE)
        prediction.on_progress = on_progress
        return self._send(
            prediction,
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
            ignore_result=prediction.is_ignored,
        )
        if len(message) > self._settings.max_request_bytes:
            raise TooLarge(
                f"the request takes {len(message)} bytes, "
                f"MODELANE_MAX_REQUEST_BYTES allows {self._settings.max_request_bytes}: send fewer rows"
            )
        key: IdempotencyKey | None = None
        if prediction.is_shared and ttl_s is not None:
            # A worker may start it until its ttl has passed, and then computes for at most predict_limit_s.
            key = IdempotencyKey(
                prediction.id,
                write_placeholder(prediction.id, is_ignored=prediction.is_ignored),
                ttl_s + self._settings.predict_limit_s,
            )
        wires.send(prediction, queue, priority, message, key)
        return prediction

    def _open(self) -> Wires:
        """The threads of this process: started on first use, and again in a forked child."""
        if (wires := self._wires) is not None:
            return wires
        with self._lock:
            if self._closed:
                raise ClientClosed("the client is closed: make a new one")
            if self._wires is None:
                self._wires = self._connect()
            return self._wires

    def _connect(self) -> Wires:
        """What :mod:`modelane.testing` has made in another way."""
        return self._make_wires(self._settings)

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
