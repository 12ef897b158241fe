"""The sending half of the client: what has gathered goes out in one put per lane, from a thread of its own.

submit → OUTBOX → queue.put.  Nobody who submits ever waits for the network.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

import msgspec

from modelane.broker.leased_queue import IdempotencyKey, LeasedQueue
from modelane.client.background_thread import OwnThread
from modelane.client.resend_buffer import REMEMBERED_S, Lately, Put
from modelane.errors import BrokerUnavailable, ClientClosed, ModelaneError, QueueFull, TryLater

logger = logging.getLogger(__name__)

#: Messages and bytes in one put: few enough to hold up neither Redis nor, while they are written, the threads
#: that submit.
MAX_MESSAGES = 128
MAX_BYTES = 8 * 2**20

#: Messages and bytes that may wait here while Redis is away.  Every service that sends pays for them in
#: memory; more than this is a backlog that nobody waits for any more.
MAX_WAITING = 100_000
MAX_WAITING_BYTES = 256 * 2**20

#: Seconds between two tries while Redis does not answer.
RETRY_S = 0.2


class Sender(Protocol):
    """Who is told what became of a message.

    Attributes:
        tried: whether it may lie in Redis, though that has not said so.
    """

    tried: bool

    def taken(self) -> None:
        """Redis has it."""
        ...

    def done(self) -> bool:
        """Whether the message is no longer wanted."""
        ...

    def end(self, *, error: ModelaneError) -> None: ...


class Outgoing(msgspec.Struct, gc=False):
    """A message on its way."""

    queue: str
    priority: int
    message: bytes
    sender: Sender
    idempotency_key: IdempotencyKey | None = None  #: the id is the caller's own: it is not put twice

    @property
    def n_bytes(self) -> int:
        return len(self.message)

    @property
    def is_over(self) -> bool:
        return self.sender.done()


class Outbox:
    """Sends in the order of submission, per queue and priority.

    Args:
        open_queue: gives the leased queue of a name.
        max_depth: messages that may wait in a lane.
        on_known: told the ids that were known already, and so not put.
        errands: what else is to be said to Redis, from this thread; called after :meth:`ring`, and again
            after ``BrokerUnavailable``.

    Attributes:
        trouble: why Redis does not take anything now; None if it does.
    """

    def __init__(
        self,
        open_queue: Callable[[str], LeasedQueue],
        *,
        max_depth: int,
        on_known: Callable[[list[str]], None] = lambda _: None,
        errands: Callable[[], None] = lambda: None,
    ) -> None:
        self.trouble: BrokerUnavailable | None = None
        self._open_queue = open_queue
        self._max_depth = max_depth
        self._waiting: deque[Outgoing] = deque()
        self._adding = threading.Lock()  # only among those who submit: the outbox does not keep them waiting
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_asleep = False
        self._progress = threading.Condition()
        # Since the beginning: added by whoever submits, finished by the outbox's thread.
        self._added = self._added_bytes = 0
        self._finished = self._finished_bytes = 0
        self._lately: Lately[Outgoing] = Lately()
        self._again = False  # whether to put that once more
        self._on_known = on_known
        self._errands = errands
        self._has_errands = False
        self._in_hand: list[Outgoing] = []
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._thread = OwnThread(self._run, "modelane-outbox")

    def start(self) -> None:
        self._thread.start()

    def add(self, outgoing: Outgoing) -> None:
        """Never blocks.

        Raises:
            TryLater: too much waits already.
            ClientClosed: nothing is sent any more.
        """
        size = len(outgoing.message)
        with self._adding:
            if self._closing.is_set():
                raise ClientClosed("the client is closed: make a new one")
            n, n_bytes = self._added - self._finished, self._added_bytes - self._finished_bytes
            if n >= MAX_WAITING or (n and n_bytes + size > MAX_WAITING_BYTES):
                raise TryLater(
                    f"{n} requests of {n_bytes} bytes wait to be sent; Redis is away or too slow: back off"
                )
            self._waiting.append(outgoing)
            self._added += 1
            self._added_bytes += size
        self._wake()

    def put_again(self) -> None:
        """After a lost connection: put what was put lately and is still wanted; Redis takes nothing twice."""
        self._again = True
        self._wake()

    def ring(self) -> None:
        """There are errands."""
        self._has_errands = True
        self._wake()

    def flush(self, timeout_s: float) -> int:
        """Wait until Redis has taken or refused all that was added so far; how many are left."""
        added = self._added
        with self._progress:
            self._progress.wait_for(lambda: self._finished >= added, timeout_s)
            return max(0, added - self._finished)

    def close(self, timeout_s: float) -> None:
        """Take nothing more; send what waits and is still wanted, for at most ``timeout_s``."""
        until_s = time.monotonic() + timeout_s
        with self._adding:
            self._closing.set()
        self._wake()
        with self._progress:
            while self._is_wanted() and (left_s := until_s - time.monotonic()) > 0:
                self._progress.wait(min(left_s, RETRY_S / 4))
        self._given_up.set()

    def join(self, timeout_s: float) -> None:
        if self._thread is not threading.current_thread():  # a future's callback may close the client
            self._thread.join(timeout_s)

    def _is_wanted(self) -> bool:
        """Whether anybody waits for something that is not sent yet, and it can still be sent."""
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return False
        return self._has_errands or any(
            not outgoing.sender.done() for outgoing in (*self._in_hand, *self._waiting)
        )

    def _run(self) -> None:
        while self._wait():
            if self._again:
                self._again = False
                for put in self._lately.take():
                    if time.monotonic() - put.at_s < REMEMBERED_S:  # if Redis has its mark, it is there
                        self._send_safely(put.run, put.token)
                continue
            if self._has_errands:
                self._do_errands()
            if run := self._next():  # also while errands wait for Redis: what nobody wants any more has to go
                self._in_hand = run
                self._send_safely(run, os.urandom(9).hex())
                with self._progress:
                    self._in_hand = []
                    self._finished += len(run)
                    self._finished_bytes += _n_bytes(run)
                    self._progress.notify_all()

    def _wake(self) -> None:
        """After there is something to do.  It blocks nobody, as a condition's lock may."""
        if self._is_asleep:
            self._is_asleep = False  # first: it need not be woken twice
            self._bell.put(None)

    def _wait(self) -> bool:
        """Until there is something to do; False at the end."""
        self._is_asleep = True  # before the look: what comes after it rings the bell
        while not self._is_due():
            self._bell.get()
            self._is_asleep = True
        self._is_asleep = False
        if self._given_up.is_set():
            return False
        return bool(self._waiting) or self._has_errands or not self._closing.is_set()

    def _is_due(self) -> bool:
        return bool(self._waiting) or self._again or self._has_errands or self._closing.is_set()

    def _do_errands(self) -> None:
        self._has_errands = False
        try:
            self._errands()
        except BrokerUnavailable as exc:
            self.trouble = exc
            self._has_errands = not self._closing.wait(RETRY_S)
        except Exception:
            logger.exception("requests cannot be attached to, or revoked", extra={"event": "errands_failed"})

    def _next(self) -> list[Outgoing]:
        """The longest run of messages for one list, within the limits of a put."""
        run: list[Outgoing] = []
        size = 0
        while self._waiting and len(run) < MAX_MESSAGES:
            following = self._waiting[0]
            size += len(following.message)
            if run and (size > MAX_BYTES or _list_of(following) != _list_of(run[0])):
                break
            run.append(self._waiting.popleft())
        return run

    def _send_safely(self, run: list[Outgoing], token: str) -> None:
        try:
            self._send(run, token)
        except Exception as exc:
            logger.exception("%d requests cannot be sent", len(run), extra={"event": "send_failed"})
            _refuse(run, ModelaneError(f"the request cannot be sent: {exc!r}"))

    def _send(self, run: list[Outgoing], token: str) -> None:
        """Put a run; if not all of it fits into the lane, what does.

        Args:
            run: for one list.
            token: the same for every try: a repeat puts nothing twice.
        """
        while run := [outgoing for outgoing in run if not outgoing.sender.done()]:
            try:
                known = self._open_queue(run[0].queue).put(
                    [outgoing.message for outgoing in run],
                    max_depth=self._max_depth,
                    priority=run[0].priority,
                    token=token,
                    idempotency_keys=[
                        outgoing.idempotency_key for outgoing in run if outgoing.idempotency_key
                    ],
                )
            except QueueFull as full:
                self.trouble = None
                room = full.limit - full.depth
                if room <= 0:
                    return _refuse(run, full)
                self._send(run[:room], token)
                run, token = run[room:], os.urandom(9).hex()
            except BrokerUnavailable as exc:
                self.trouble = exc
                for outgoing in run:
                    outgoing.sender.tried = True
                if self._closing.wait(RETRY_S):
                    return None if self._given_up.is_set() else _refuse(run, exc)
            except ModelaneError as exc:
                return _refuse(run, exc)
            else:
                self.trouble = None
                for outgoing in run:
                    outgoing.sender.taken()
                if known:  # a put that is repeated may have become smaller, and its positions others
                    self._on_known(
                        [outgoing.idempotency_key.id for outgoing in run if outgoing.idempotency_key]
                    )
                self._lately.add(Put(time.monotonic(), token, run, _n_bytes(run)))
                return None
        return None


def _list_of(outgoing: Outgoing) -> tuple[str, int, bool]:
    """What messages of one put have in common."""
    return outgoing.queue, outgoing.priority, outgoing.idempotency_key is None


def _refuse(run: list[Outgoing], error: ModelaneError) -> None:
    for outgoing in run:
        outgoing.sender.end(error=error)


def _n_bytes(run: list[Outgoing]) -> int:
    return sum(len(outgoing.message) for outgoing in run)
