"""The future that a caller holds: it completes with an answer, and can be waited for or awaited."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

from modelane.client.answer import Progress
from modelane.client.background_thread import check_may_wait
from modelane.client.light_condition import LightCondition
from modelane.client.loop_wakeup import wakeup_of
from modelane.errors import ClientClosed, ModelaneError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Prediction(Future[T], Generic[T]):
    """A :class:`concurrent.futures.Future` that can also be awaited, in any event loop.

    :meth:`Client.submit`, :meth:`Client.attach` and :meth:`Client.retrain` return one. It always completes,
    at the latest when its timeout passes: with a value, or with an error of :mod:`modelane.errors`.

    A task that is cancelled while it awaits a prediction also cancels the prediction, unless another task
    awaits it. The exception are requests with a caller-chosen id, and those that were attached to: other
    callers may wait for the same request, so it continues.

    Callbacks run in a thread of the client. They must be short, and must not wait for another prediction.

    Attributes:
        id: id of the request, which is also the id of the Celery task.
        sent: whether Redis has confirmed that it accepted the request.
        progress: the latest progress that the trainer reported; None before the first report.

    Example:
        In threads::

            prediction = client.submit("churn", rows)
            prediction.add_done_callback(lambda done: print(done.result().values))
            answer = prediction.result()

        In an event loop::

            answer = await client.submit("churn", rows)
    """

    progress: Progress | None = None
    on_progress: Callable[[Progress], object] | None = None

    def __init__(  # noqa: PLR0913  created once, by the client
        self,
        id: str,  # noqa: A002  the public name
        timeout_s: float,
        read: Callable[[dict[str, Any]], T],
        timeout_hint: str,
        *,
        is_shared: bool = False,
        is_ignored: bool = False,
    ) -> None:
        super().__init__()
        self._condition: Any = LightCondition()
        self.id = id
        self.sent = self.maybe_sent = False  # maybe_sent: Redis may have it, but has not confirmed it
        self.is_shared = is_shared  #: other futures may wait for the same request
        self.is_ignored = is_ignored  #: there will be no answer: it completes when Redis accepts the request
        self.read = read  #: turns the stored result into the value
        self.timeout_hint = timeout_hint  #: what to check if no answer arrives, for the error
        self.queue = ""  #: queue of the request; empty if another client sent it
        self.submitted_s = time.monotonic()
        self.deadline_s = self.submitted_s + timeout_s
        self.revoke: Callable[[Prediction[T]], None] | None = None  #: called when it is cancelled
        self._awaiting: tuple[asyncio.Future[None], ...] = ()
        self._is_cancelled = False

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            # No closure and no coroutine: the garbage collector would have to visit them.
            waiting = asyncio.get_running_loop().create_future()
            self._await_with(waiting)
            try:
                yield from waiting
            finally:
                if waiting.cancelled():
                    self._leave(waiting)
        if self.cancelled():
            raise asyncio.CancelledError
        return self.result()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the outcome, and return or raise it.

        Args:
            timeout: seconds to wait; None waits until the request's own timeout.

        Returns:
            The answer.

        Raises:
            TimeoutError: ``timeout`` seconds have passed; the prediction continues, and can be waited for
                again.
            CancelledError: the prediction was cancelled.
            ModelaneError: the request failed; or the caller is a callback of another prediction, which must
                not wait.
        """
        if not self.done():
            check_may_wait()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome, and return the error that :meth:`result` would raise.

        Args:
            timeout: seconds to wait; None waits until the request's own timeout.

        Returns:
            The error; None if there is an answer.

        Raises:
            TimeoutError: ``timeout`` seconds have passed.
            CancelledError: the prediction was cancelled.
            ModelaneError: the caller is a callback of another prediction, which must not wait.
        """
        if not self.done():
            check_may_wait()
        return super().exception(timeout)

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call a function when the prediction is done; immediately if it already is.

        Args:
            fn: called with this prediction, in a thread of the client.
        """
        # asyncio.wait adds a callback that must run in its own event loop.
        if getattr(fn, "__module__", None) == asyncio.wait.__module__:
            self._await_with(_LoopCallback(self, fn))
        else:
            super().add_done_callback(fn)

    def remove_done_callback(self, fn: Callable[[Future[T]], object]) -> int:
        """Remove a callback of :func:`asyncio.wait`, which expects this method of a future.

        Returns:
            How many callbacks were removed.
        """
        with self._condition:
            before = self._awaiting
            self._awaiting = tuple(w for w in before if not (isinstance(w, _LoopCallback) and w.fn == fn))
            return len(before) - len(self._awaiting)

    def cancel(self) -> bool:
        """Cancel the request, so that no worker starts it.

        A worker that has already started it finishes it, and the answer is dropped.

        Returns:
            False if the prediction is already done.
        """
        if not super().cancel():
            return False
        with self._condition:
            is_first, self._is_cancelled = not self._is_cancelled, True
            if is_first:
                self.set_running_or_notify_cancel()  # tells `wait` and `as_completed` of concurrent.futures
        if is_first and self.revoke is not None:
            self.revoke(self)
        return True

    def mark_sent(self) -> None:
        """Note that Redis has accepted the request. Called by the client."""
        self.sent = True
        if self.is_ignored:
            self.complete(None)  # type: ignore[arg-type]  # the value of a request whose answer is ignored

    def report(self, progress: Progress) -> None:
        """Set the progress and call ``on_progress`` unless it is unchanged. Called by the client."""
        if self.done() or not progress.step or progress == self.progress:
            return
        self.progress = progress
        if self.on_progress is not None:
            try:
                self.on_progress(progress)
            except Exception:  # as for done callbacks
                logger.exception("the on_progress callback failed", extra={"event": "callback_failed"})

    def complete(self, value: T) -> None:
        """Set the value; ignored if the prediction is done. Called by the client."""
        try:  # noqa: SIM105  `suppress` takes longer, and this runs for each request
            self.set_result(value)
        except InvalidStateError:
            pass

    def fail(self, error: ModelaneError) -> None:
        """Set the error; ignored if the prediction is done. Called by the client."""
        try:  # noqa: SIM105  as above
            self.set_exception(error)
        except InvalidStateError:
            pass

    def abandon_after_fork(self) -> None:
        """In a forked child: fail, because the answer arrives in the parent. Called by the client."""
        self._condition = LightCondition()  # a thread of the parent may have held the old one during the fork
        self.fail(ClientClosed("sent before the fork: its answer goes to the parent process"))

    def _await_with(self, waiting: asyncio.Future[None]) -> None:
        with self._condition:
            is_first = not self._awaiting
            self._awaiting = (*self._awaiting, waiting)
        if is_first:
            super().add_done_callback(_wake)  # type: ignore[arg-type]  # it is called with this prediction
        elif self.done():
            _wake(self)

    def _leave(self, waiting: asyncio.Future[None]) -> None:
        with self._condition:
            self._awaiting = tuple(other for other in self._awaiting if other is not waiting)
            is_last = not self._awaiting
        if is_last and not self.is_shared:
            self.cancel()


class _LoopCallback(asyncio.Future[None]):
    """Calls a function in the running loop when the prediction is done."""

    def __init__(self, prediction: Prediction[Any], fn: Callable[[Any], object]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.fn = fn
        self.add_done_callback(lambda _: fn(prediction))


def _wake(done: Prediction[Any]) -> None:
    with done._condition:
        awaiting, done._awaiting = done._awaiting, ()
    for waiting in awaiting:
        wakeup_of(waiting.get_loop()).wake(waiting)
