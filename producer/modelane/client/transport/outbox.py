"""The sending half of the client: a thread that sends everything to Redis.

So no caller waits for the network. All messages that have gathered for a lane go out in one put.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from modelane.broker.leased_queue import LeasedQueue
from modelane.client.background_thread import BackgroundThread
from modelane.client.prediction import Prediction
from modelane.client.transport.backlog import Backlog, Outgoing, n_bytes
from modelane.client.transport.control_queue import ControlQueue
from modelane.client.transport.resend_buffer import KEPT_S, Put, ResendBuffer
from modelane.errors import BrokerUnavailable, ModelaneError, QueueFull

logger = logging.getLogger(__name__)

#: Seconds between two attempts while Redis does not answer.
RETRY_S = 0.2


class Outbox:
    """Sends messages in the order of submission, per lane and priority.

    Args:
        open_queue: returns the leased queue of a name.
        control: attach and revoke commands, which the same thread sends.
        max_depth: messages that may wait in a lane.

    Attributes:
        error: why Redis accepts nothing at the moment; None if it does.
    """

    def __init__(
        self, open_queue: Callable[[str], LeasedQueue], control: ControlQueue, *, max_depth: int
    ) -> None:
        self.error: BrokerUnavailable | None = None
        self._open_queue = open_queue
        self._max_depth = max_depth
        self._backlog = Backlog()
        self._control = control
        self._has_commands = False
        self._sent = ResendBuffer()
        self._must_resend = False
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._is_asleep = False
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._thread = BackgroundThread(self._run, "modelane-outbox")

    @property
    def redis_problem(self) -> str:
        """Why Redis has not accepted anything yet, for an error message."""
        return str(self.error or "Redis has not answered yet")

    def start(self) -> None:
        self._thread.start()

    def add(self, outgoing: Outgoing) -> None:
        """Send a message; never blocks.

        Raises:
            TryLater: too many messages wait already.
            ClientClosed: after :meth:`close`.
        """
        self._backlog.add(outgoing)
        self._wake()

    def attach(self, prediction: Prediction[Any]) -> None:
        """Send the command to attach to a request; never blocks."""
        self._control.attach(prediction)
        self._has_commands = True
        self._wake()

    def revoke(self, prediction: Prediction[Any]) -> None:
        """Send the command to revoke the request of a cancelled future; never blocks."""
        if self._control.revoke(prediction):
            self._has_commands = True
            self._wake()

    def resend(self) -> None:
        """Repeat the last puts whose answers are still awaited, after the connection was lost.

        Redis ignores those that it still has.
        """
        self._must_resend = True
        self._wake()

    def flush(self, timeout_s: float) -> None:
        """Wait until Redis has accepted or refused all messages that were added so far.

        Raises:
            BrokerUnavailable: it has not within ``timeout_s``.
        """
        if n_left := self._backlog.flush(timeout_s):
            raise BrokerUnavailable(
                f"Redis did not accept {n_left} of the requests within {timeout_s:g} s: {self.redis_problem}"
            )

    def close(self, timeout_s: float) -> None:
        """Accept no more messages, and send those that are still wanted for at most ``timeout_s``."""
        until_s = time.monotonic() + timeout_s
        self._backlog.close()
        self._closing.set()
        self._wake()
        with self._backlog.progress:
            while self._must_drain and (left_s := until_s - time.monotonic()) > 0:
                self._backlog.progress.wait(min(left_s, RETRY_S / 4))
        self._given_up.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end."""
        if self._thread is not threading.current_thread():  # a future's callback may close the client
            self._thread.join(timeout_s)

    @property
    def _must_drain(self) -> bool:
        """Whether there is something left that can and should be sent before the client closes."""
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return False
        return self._has_commands or self._backlog.is_wanted

    def _wake(self) -> None:
        # A queue instead of a condition: `put` never waits for a lock that the outbox's thread holds.
        if self._is_asleep:
            self._is_asleep = False  # first, so that other callers do not wake it again
            self._wakeups.put(None)

    def _wait(self) -> bool:
        """Wait until there is something to do; return False when the client is closed."""
        self._is_asleep = True  # before the check: callers that come after it wake this thread
        while not self._is_due:
            self._wakeups.get()
            self._is_asleep = True
        self._is_asleep = False
        if self._given_up.is_set():
            return False
        return self._has_commands or not self._backlog.is_empty or not self._closing.is_set()

    @property
    def _is_due(self) -> bool:
        return not self._backlog.is_empty or self._must_resend or self._has_commands or self._closing.is_set()

    def _run(self) -> None:
        while self._wait():
            if self._must_resend:
                self._must_resend = False
                for put in self._sent.take():
                    if time.monotonic() - put.at_s < KEPT_S:  # Redis still knows the token if it has the put
                        self._put_safely(put.run, put.token)
                continue
            if self._has_commands:
                self._send_commands()
            # Also while commands wait for Redis: messages whose futures are done must not stay here.
            if run := self._backlog.take():
                self._put_safely(run, os.urandom(9).hex())
                self._backlog.finish()

    def _send_commands(self) -> None:
        self._has_commands = False
        try:
            self._control.send()
        except BrokerUnavailable as exc:
            self.error = exc
            self._has_commands = not self._closing.wait(RETRY_S)
        except Exception:
            logger.exception("attaching to or revoking requests failed", extra={"event": "control_failed"})

    def _put_safely(self, run: list[Outgoing], token: str) -> None:
        try:
            self._put(run, token)
        except Exception as exc:
            logger.exception("sending %d requests failed", len(run), extra={"event": "send_failed"})
            _fail(run, ModelaneError(f"the request cannot be sent: {exc!r}"))

    def _put(self, run: list[Outgoing], token: str) -> None:
        """Put messages into their lane, or as many as fit; retry while Redis is unavailable.

        Args:
            run: messages with the same destination.
            token: identifies this put in all attempts, so that a repeat has no effect.
        """
        while run := [outgoing for outgoing in run if not outgoing.prediction.done()]:
            try:
                left_out = self._open_queue(run[0].queue).put(
                    [outgoing.message for outgoing in run],
                    max_depth=self._max_depth,
                    priority=run[0].priority,
                    token=token,
                    idempotency_keys=[each.idempotency_key for each in run if each.idempotency_key],
                )
            except QueueFull as full:
                self.error = None
                room = full.limit - full.depth
                if room <= 0:
                    return _fail(run, full)
                self._put(run[:room], token)
                run, token = run[room:], os.urandom(9).hex()
            except BrokerUnavailable as exc:
                self.error = exc
                for outgoing in run:
                    outgoing.prediction.maybe_sent = True
                if self._closing.wait(RETRY_S):
                    return None if self._given_up.is_set() else _fail(run, exc)
            except ModelaneError as exc:
                return _fail(run, exc)
            else:
                return self._accepted(run, token, has_known_ids=bool(left_out))
        return None

    def _accepted(self, run: list[Outgoing], token: str, *, has_known_ids: bool) -> None:
        self.error = None
        for outgoing in run:
            outgoing.prediction.mark_sent()
        if has_known_ids:
            # All of them: a retry may be shorter than the put whose positions Redis returns.
            for outgoing in run:
                self.attach(outgoing.prediction)
        self._sent.add(Put(time.monotonic(), token, run, n_bytes(run)))


def _fail(run: list[Outgoing], error: ModelaneError) -> None:
    for outgoing in run:
        outgoing.prediction.fail(error)
