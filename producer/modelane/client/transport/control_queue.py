"""Attach and revoke commands on their way to Redis.

Any thread adds them; the outbox's thread sends them, so that no caller waits for the network.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

from modelane.broker.request_control import RequestControl
from modelane.client.prediction import Prediction
from modelane.client.transport.pending import Pending
from modelane.client.transport.reply import read_stored
from modelane.errors import BrokerRefused, Revoked

logger = logging.getLogger(__name__)

#: Request ids in one command to Redis.
MAX_IDS = 500


class ControlQueue:
    """Commands about requests that are already in Redis, by their ids.

    Args:
        requests: sends the commands.
        pending: the client's futures.
        channel: the client's reply channel, prefix included.
    """

    def __init__(self, requests: RequestControl, pending: Pending, channel: str) -> None:
        self._requests = requests
        self._pending = pending
        self._channel = channel
        self._to_attach: deque[Prediction[Any]] = deque()
        self._to_revoke: deque[Prediction[Any]] = deque()

    def attach(self, prediction: Prediction[Any]) -> None:
        """Have the future's answer published to this client too, or fetched if it is stored; thread-safe."""
        self._to_attach.append(prediction)

    def revoke(self, prediction: Prediction[Any]) -> bool:
        """Have no worker start the request of a cancelled future; thread-safe.

        Returns:
            False if another future of this client waits for the same request, which therefore continues.
        """
        if self._pending.waiting_for(prediction.id):
            return False
        self._to_revoke.append(prediction)
        return True

    def send(self) -> None:
        """Send all commands; those that Redis did not confirm stay in the queue.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        for waiting, send in ((self._to_revoke, self._send_revoke), (self._to_attach, self._send_attach)):
            # By index: an iterator would fail when other threads append.
            while predictions := [waiting[n] for n in range(min(len(waiting), MAX_IDS))]:
                try:
                    send(predictions)
                except BrokerRefused as exc:  # a retry cannot help, and would block the commands after it
                    logger.warning(
                        "Redis refused to attach to or revoke %d requests: %s",
                        len(predictions),
                        exc,
                        extra={"event": "refused"},
                    )
                for _ in predictions:
                    waiting.popleft()

    def _send_revoke(self, predictions: list[Prediction[Any]]) -> None:
        # Requests that never reached Redis are revoked too, for clients that attach to them; except where the
        # caller chose the id and may send it again.
        if ids := [p.id for p in predictions if p.sent or p.maybe_sent or not p.is_shared]:
            self._requests.revoke(ids)

    def _send_attach(self, predictions: list[Prediction[Any]]) -> None:
        waiting = [p for p in predictions if not p.done()]
        if not waiting:
            return
        ids = list({p.id for p in waiting})
        left_s = max(p.deadline_s for p in waiting) - time.monotonic()
        revoked = self._requests.attach(ids, channel=self._channel, timeout_s=max(left_s, 1.0))
        for reply in read_stored(self._requests, ids):  # it may have been answered before
            self._pending.deliver(reply)
        for prediction in waiting:
            if prediction.id in revoked and not prediction.queue:  # another client's request
                prediction.fail(Revoked("the request was cancelled before it was answered"))
