"""Wait while Redis is unavailable: the one back-off and the one wording of the log for all loops.

A loop that calls Redis again and again uses :class:`Outage` directly; a single call that has to succeed uses
:meth:`Outage.retry`::

    outage = Outage("modelane.predict.churn", stopping.wait)
    while not stopping.is_set():
        try:
            work()
        except BrokerUnavailable as error:
            outage.pause(error)
        else:
            outage.end()
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from modelane.errors import BrokerUnavailable, ModelaneError

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds before the second attempt and, at most, before each later one; the pause doubles in between.
#: Short at first, because most outages are a restart of Redis; limited, because callers wait for the success.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0


class Outage:
    """The outages of Redis as one thread sees them; logs one line when one starts and one when it is over.

    Args:
        name: of the loop, in the log.
        wait: pauses for so many seconds and returns True if the loop should stop, such as
            ``threading.Event.wait``.
        clock: monotonic time in seconds.
    """

    def __init__(
        self, name: str, wait: Callable[[float], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._wait = wait
        self._clock = clock
        self._since_s: float | None = None
        self._pause_s = FIRST_PAUSE_S

    def pause(self, error: ModelaneError) -> bool:
        """Wait before the next attempt.

        Args:
            error: with which the last attempt failed.

        Returns:
            True if the loop should stop.
        """
        if self._since_s is None:
            self._since_s = self._clock()
            logger.warning("%s: %s; retrying", self._name, error, extra={"event": "broker_unavailable"})
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        return self._wait(pause_s)

    def end(self) -> None:
        """Note that a call has succeeded; cheap if there was no outage."""
        if self._since_s is not None:
            lasted_s = self._clock() - self._since_s
            logger.info(
                "%s: Redis is available again after %.1f s",
                self._name,
                lasted_s,
                extra={"event": "broker_available", "outage_s": lasted_s},
            )
            self._since_s, self._pause_s = None, FIRST_PAUSE_S

    def retry(self, call: Callable[[], T]) -> T:
        """Call until Redis serves it.

        Args:
            call: harmless to repeat.

        Returns:
            What ``call`` returns.

        Raises:
            BrokerUnavailable: Redis was still unavailable when the loop had to stop.
        """
        while True:
            try:
                result = call()
            except BrokerUnavailable as error:
                if self.pause(error):
                    raise
            else:
                self.end()
                return result
