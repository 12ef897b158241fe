"""The client: submit rows, get a future; the same for threads and for asyncio.

    with Client() as client:
        answer = client.predict("breast-cancer", rows)
        answer.values, answer.version

It checks rows and options in the caller's thread, and hands the request over to a
:class:`modelane.client.transport.session.Session`, which exists once per process.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from modelane.client.answer import Answer, Progress, Retrained
from modelane.client.map import MapMixin
from modelane.client.options import (
    Options,
    check_columns,
    check_id,
    check_method,
    check_no_ignore_result,
    check_params,
    check_priority,
    check_seconds,
    check_version,
)
from modelane.client.prediction import Prediction
from modelane.client.result_reader import RequestSummary, read_answer, read_answer_to, read_retrained
from modelane.data.rows import to_rows
from modelane.data.tensor import to_msgpack
from modelane.errors import ClientClosed
from modelane.keys import PREDICT_TASK, RETRAIN_QUEUE, RETRAIN_TASK, check_model_name, predict_queue
from modelane.protocol.redaction import describe
from modelane.settings import Settings

if TYPE_CHECKING:
    from modelane.client.transport.session import Session

#: What to check if no answer arrives.
PREDICT_HINT = "check that a worker serves this model"
ATTACH_HINT = "check the id, and whether its answer is still stored (MODELANE_RESULT_TTL_S)"
RETRAIN_HINT = "check that a trainer is running; the retraining itself continues"


class Client(MapMixin):
    """Sends requests to models, and returns futures for their answers.

    A client is thread-safe and cheap to share: create one per process. It connects on first use, and starts
    three threads then. It can be used in any number of threads and event loops at the same time, and in
    forked children; requests that the parent sent before the fork are answered in the parent only.

    While Redis is unavailable, requests wait in the client; they are sent when it is back, unless their
    timeout passes first.

    Args:
        url: URL of Redis, such as ``redis://localhost:6379/0``; by default the setting
            ``MODELANE_BROKER_URL``.
        settings: all settings; by default they are read from the environment.
        timeout_s: default timeout of a request, in seconds.

    Raises:
        SettingsError: a setting has a wrong value, or the broker is not Redis.
        BadInput: ``timeout_s`` is not a positive number of seconds.

    Example:
        In threads::

            with Client("redis://localhost:6379/0") as client:
                answer = client.predict("churn", [{"age": 41, "visits": 3}])
                print(answer.values, answer.version)

        In an event loop::

            answers = await asyncio.gather(*(client.submit("churn", rows) for rows in batches))

        Many batches, with a limited number of them in flight::

            for answer in client.map("churn", batches, window=32):
                print(answer.values)
    """

    def __init__(
        self, url: str | None = None, *, settings: Settings | None = None, timeout_s: float = 30.0
    ) -> None:
        environ = os.environ | ({"MODELANE_BROKER_URL": url} if url else {})
        self._settings = settings or Settings.from_env(environ)
        # Importing redis-py takes longer than everything else here, so neither `import modelane` nor the
        # first submit, which may run in an event loop, imports it.
        from modelane.broker import connection  # noqa: PLC0415
        from modelane.client.transport import session  # noqa: PLC0415

        connection.require_lanes(self._settings)
        self._new_session = session.Session
        self._timeout_s = check_seconds("timeout_s", timeout_s)
        self._lock = threading.Lock()
        self._is_closed = False
        self._session: Session | None = None
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
        """Send rows to a model and return a future for the answer.

        It returns immediately and never waits for the network.

        Args:
            model: name of the model.
            rows: a numpy array of shape (n, d), a list of n rows, a list of n records (dictionaries), a
                dictionary of columns, or a pandas, polars or Arrow table. Datetimes with a time zone are
                converted to UTC.
            method: method of the model to call, such as ``predict`` or ``predict_proba``; the model's card
                lists the allowed ones.
            version: version that must answer; by default the champion.
            columns: column names, in the order of the rows, if the rows do not contain them.
            params: keyword arguments of the method.
            timeout_s: seconds until the future fails with :class:`TimedOut`, or with
                :class:`BrokerUnavailable` if Redis has not accepted the request by then; by default the
                client's timeout.
            ttl_s: seconds after which no worker may start the request, so that it fails with
                :class:`Expired`; by default ``timeout_s``.
            priority: from 0 (served first) to 9, as Celery defines it on Redis.
            id: idempotency key. Another request with the same id, from any process, is not computed: it gets
                the answer of the first one, whether that still waits, is being computed, or is stored
                (``MODELANE_RESULT_TTL_S``). The id of a request that expired before a worker started it can
                be used again.
            ignore_result: complete the future with None as soon as Redis has accepted the request; no answer
                is stored.

        Returns:
            A future that can be waited for, awaited and cancelled. It fails with an error of
            :mod:`modelane.errors`.

        Raises:
            BadInput: the rows cannot be sent, or an option has a wrong value.
            TooLarge: the request exceeds ``MODELANE_MAX_REQUEST_BYTES``.
            TryLater: too many requests wait to be sent already.
            ClientClosed: the client is closed.
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
            summary = RequestSummary(
                id=check_id(id), model=model, method=method, version=version, n_rows=n_rows
            )
            read = partial(read_answer_to, summary)
        session = self._open()
        prediction = Prediction(
            id or session.new_id(),
            timeout_s,
            read,
            PREDICT_HINT,
            is_shared=id is not None,
            is_ignored=bool(ignore_result),
        )
        session.send(
            prediction,
            task=PREDICT_TASK,
            queue=queue,
            args=(model, to_msgpack(body)),
            kwargs={name: value for name, value in kwargs.items() if value is not None},
            rows=n_rows,
            argsrepr=f"({model!r}, {describe(body)})",
            priority=check_priority(priority),
            ttl_s=ttl_s,
        )
        return prediction

    def predict(self, model: str, rows: Any, **options: Unpack[Options]) -> Answer:
        """Send rows to a model and wait for the answer.

        Args:
            model: name of the model.
            rows: as for :meth:`submit`.
            **options: as for :meth:`submit`, except ``ignore_result``.

        Returns:
            The answer.

        Raises:
            RequestError: the model does not accept the request; the message says why.
            TryLater: the lane is full, or Redis is unavailable; send the request again later.
            NotAnswered: no worker answered in time, or the request was cancelled.
            PredictionFailed: the model raised an error.
        """
        check_no_ignore_result(options)
        return self.submit(model, rows, **options).result()

    def attach(
        self,
        id: str,  # noqa: A002  the word that users expect
        *,
        timeout_s: float | None = None,
    ) -> Prediction[Answer]:
        """Wait for a request that another process sent, or this process before it was restarted.

        Args:
            id: id of the request: :attr:`Prediction.id`, or the ``id`` that it was submitted with.
            timeout_s: seconds until the future fails with :class:`TimedOut`. An id that was never used cannot
                be distinguished from that of a request that still waits.

        Returns:
            A future for the answer. It fails with :class:`Revoked` immediately if the request was cancelled
            before it was answered.

        Raises:
            BadInput: the id or the timeout has a wrong form.
            ClientClosed: the client is closed.
        """
        timeout_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        prediction = Prediction(check_id(id), timeout_s, read_answer, ATTACH_HINT, is_shared=True)
        self._open().attach(prediction)
        return prediction

    def retrain(
        self,
        model: str,
        *,
        timeout_s: float = 3600.0,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Prediction[Retrained]:
        """Ask a trainer to retrain a model; the future completes when the gate has decided.

        A model has one retraining at a time: later callers share the outcome of the one that is running.

        Args:
            model: name of the model.
            timeout_s: seconds until the future fails with :class:`TimedOut`; the retraining itself continues.
            on_progress: called with each step, in a thread of the client. :attr:`Prediction.progress` is the
                latest step.

        Returns:
            A future for the new version, and whether it was promoted. It fails with a :class:`TrainingError`
            if nothing was published.

        Raises:
            BadInput: the name of the model or the timeout has a wrong form.
            TryLater: too many requests wait to be sent already.
            ClientClosed: the client is closed.
        """
        timeout_s = check_seconds("timeout_s", timeout_s)
        session = self._open()
        prediction = Prediction(session.new_id(), timeout_s, read_retrained, RETRAIN_HINT)
        prediction.on_progress = on_progress
        session.send(
            prediction,
            task=RETRAIN_TASK,
            queue=RETRAIN_QUEUE,
            args=(check_model_name(model),),
            kwargs={},
            rows=1,
            argsrepr=f"({model!r},)",
        )
        return prediction

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until Redis has accepted or refused all requests that were submitted so far.

        The futures of refused requests have failed by then.

        Args:
            timeout_s: seconds to wait.

        Raises:
            BrokerUnavailable: Redis has not accepted all of them within ``timeout_s``; the client keeps
                trying.
        """
        if (session := self._session) is not None:
            session.flush(check_seconds("timeout_s", timeout_s))

    def close(self, timeout_s: float = 5.0) -> None:
        """Close the client.

        Requests that wait to be sent are still sent; futures without an answer fail with
        :class:`ClientClosed`. Leaving the ``with`` block of a client closes it.

        Args:
            timeout_s: seconds to wait until they are sent.
        """
        with self._lock:
            self._is_closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Session:
        """Return the session of this process, which is created on first use, and again in a forked child."""
        if (session := self._session) is not None:
            return session
        with self._lock:
            if self._is_closed:
                raise ClientClosed("the client is closed: create a new one")
            if self._session is None:
                self._session = self._connect()
            return self._session

    def _connect(self) -> Session:
        """Return a new session; overridden by :mod:`modelane.testing`."""
        return self._new_session(self._settings)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may have held the old one during the fork
        session, self._session = self._session, None
        if session is not None:
            session.abandon_after_fork()


#: All clients of this process: a forked child needs new sessions for them.
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)
