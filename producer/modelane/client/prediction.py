"""What a caller holds: a future that ends with an answer.  submit → PREDICTION ← replies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

from modelane.client.answer import Progress
from modelane.client.background_thread import check_may_wait
from modelane.client.light_condition import Monitor
from modelane.client.loop_wakeup import waker_of
from modelane.errors import ClientClosed, ModelaneError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Prediction(Future[T], Generic[T]):
    """A future that can also be awaited; it always ends, at the latest at its deadline.

    A task that is cancelled while it awaits one cancels it too, if nobody else awaits it; but a request with
    an id of the caller's own, or that was attached to, may be somebody else's: it is only left.

    Attributes:
        id: of the request: the Celery task's id.
        sent: whether Redis has confirmed that it took the request.
        progress: how far it has come, if the worker says so; None before.
    """

    progress: Progress | None = None
    on_progress: Callable[[Progress], object] | None = None

    def __init__(  # noqa: PLR0913  what becomes of it
        self,
        id: str,  # noqa: A002  the public name
        timeout_s: float,
        read: Callable[[dict[str, Any]], T],
        late: str,
        *,
        is_shared: bool = False,
        is_ignored: bool = False,
    ) -> None:
        super().__init__()
        self._condition: Any = Monitor()
        self.id = id
        self.sent = self.tried = False  # tried: Redis may have it, without having said so
        self.is_shared = is_shared  #: others may wait for the same request
        self.is_ignored = is_ignored  #: no answer comes: it ends when Redis has taken it
        self.read = read  #: makes the value of what the worker stored
        self.late = late  #: what is said if that does not come in time
        self.queue = ""  #: where it was put; empty if by somebody else
        self.began_s = time.monotonic()
        self.deadline_s = self.began_s + timeout_s
        self.revoke: Callable[[Prediction[T]], None] | None = None  #: who is told that it was cancelled
        self._awaiting: tuple[asyncio.Future[None], ...] = ()
        self._is_cancelled = False

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            # No closure, no coroutine: each object more is one more for the garbage collector to look at.
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
            timeout: seconds until the builtin ``TimeoutError``; the future goes on.

        Raises:
            ModelaneError: what it ended with; or it has not ended, and this is a callback, which cannot wait.
        """
        if not self.done():
            check_may_wait()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What :meth:`result` would raise, or None."""
        if not self.done():
            check_may_wait()
        return super().exception(timeout)

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call ``fn`` with this future when it ends, from whatever thread that happens in, or at once.

        What :func:`asyncio.wait` adds, it means for a future of its own loop: it is called there.
        """
        if getattr(fn, "__module__", None) == asyncio.wait.__module__:
            self._await_with(_Called(self, fn))
        else:
            super().add_done_callback(fn)

    def remove_done_callback(self, fn: Callable[[Future[T]], object]) -> int:
        """For :func:`asyncio.wait`, which takes away what it has added; how many that were."""
        with self._condition:
            before = self._awaiting
            self._awaiting = tuple(w for w in before if not (isinstance(w, _Called) and w.fn == fn))
            return len(before) - len(self._awaiting)

    def cancel(self) -> bool:
        """End it now, and have no worker begin with the request; one that computes goes on, for nobody.

        Returns:
            False if it has its outcome already.
        """
        if not super().cancel():
            return False
        with self._condition:
            is_news, self._is_cancelled = not self._is_cancelled, True
            if is_news:
                self.set_running_or_notify_cancel()  # else `wait` and `as_completed` never hear of it
        if is_news and self.revoke is not None:
            self.revoke(self)
        return True

    def _await_with(self, waiting: asyncio.Future[None]) -> None:
        with self._condition:
            is_first = not self._awaiting
            self._awaiting = (*self._awaiting, waiting)
        if is_first:
            super().add_done_callback(_wake)  # type: ignore[arg-type]  # it is called with this one
        elif self.done():
            _wake(self)

    def _leave(self, waiting: asyncio.Future[None]) -> None:
        with self._condition:
            self._awaiting = tuple(other for other in self._awaiting if other is not waiting)
            is_left = not self._awaiting
        if is_left and not self.is_shared:
            self.cancel()

    def taken(self) -> None:
        """For the client's threads: Redis has the request."""
        self.sent = True
        if self.is_ignored:
            self.end()

    def tell(self, progress: Progress) -> None:
        """For the client's threads: it has come so far.  What was told already is no news."""
        if self.done() or not progress.step or progress == self.progress:
            return
        self.progress = progress
        if self.on_progress is not None:
            try:
                self.on_progress(progress)
            except Exception:  # as with a future's own callbacks
                logger.exception("a callback for progress raised", extra={"event": "callback_failed"})

    def end(self, value: T | None = None, error: ModelaneError | None = None) -> None:
        """For the client's threads: set the outcome.  One that was cancelled or has one keeps what it has."""
        try:
            if error is not None:
                self.set_exception(error)
            else:
                self.set_result(value)  # type: ignore[arg-type]  # no error, so there is a value
        except InvalidStateError:
            pass

    def leave_behind(self) -> None:
        """In a forked child: end it, since its answer goes to the parent."""
        self._condition = Monitor()  # the one before may be held by a thread of the parent
        self.end(error=ClientClosed("sent before the fork: its answer goes to the parent process"))


class _Called(asyncio.Future[None]):
    """Calls in the running loop what has to be called there."""

    def __init__(self, prediction: Prediction[Any], fn: Callable[[Any], object]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.fn = fn
        self.add_done_callback(lambda _: fn(prediction))


def _wake(ended: Prediction[Any]) -> None:
    with ended._condition:
        awaiting, ended._awaiting = ended._awaiting, ()
    for waiting in awaiting:
        waker_of(waiting.get_loop()).wake(waiting)
