"""Many batches, answered in order through a bounded window.  batches → STREAM → submit → answers.

Input is read as room appears, so neither it nor its answers need fit into memory.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from modelane.client.answer import Answer
from modelane.client.prediction import Prediction
from modelane.errors import BadInput, ModelaneError, TryLater

Submit = Callable[[Any], Prediction[Answer]]
Outcome = Answer | ModelaneError

#: Seconds before a batch is sent again, where nobody says when there will be room.
RETRY_AFTER_S = 0.2


def check_window(value: Any) -> int:
    """Raises :class:`BadInput`: no number of batches."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise BadInput(f"window={value!r:.40}: expected how many batches may be in flight, at least 1")


def in_order(
    submit: Submit, batches: Iterable[Any], *, window: int, return_errors: bool, patience_s: float
) -> Iterator[Outcome]:
    """One outcome a batch, in their order.

    Args:
        submit: sends one batch.
        batches: read only as far as the window reaches.
        window: batches that may be in flight.
        return_errors: an error takes the place of its answer, instead of being raised.
        patience_s: how long a full lane, or an absent Redis, is waited for while nothing is answered.
    """
    flight = _Flight(submit, window, patience_s)
    source = iter(batches)
    try:
        while True:
            flight.send_again()
            while flight.has_room:
                try:
                    flight.add(next(source))
                except StopIteration:
                    source = iter(())
                    break
            if not flight:
                return
            outcome = flight.head.outcome()
            if (pause_s := flight.pause_s(outcome)) is not None:
                time.sleep(pause_s)
            else:
                yield flight.land(outcome, return_errors=return_errors)
    finally:
        flight.call_off()


async def in_order_async(
    submit: Submit,
    batches: Iterable[Any] | AsyncIterable[Any],
    *,
    window: int,
    return_errors: bool,
    patience_s: float,
) -> AsyncIterator[Outcome]:
    """The same for an event loop; ``batches`` may be asynchronous too."""
    flight = _Flight(submit, window, patience_s)
    source = batches if isinstance(batches, AsyncIterable) else _awaited(batches)
    following = aiter(source)
    is_more = True
    try:
        while True:
            flight.send_again()
            while is_more and flight.has_room:
                try:
                    flight.add(await anext(following))
                except StopAsyncIteration:
                    is_more = False
            if not flight:
                return
            outcome = await flight.head.outcome_async()
            if (pause_s := flight.pause_s(outcome)) is not None:
                await asyncio.sleep(pause_s)
            else:
                yield flight.land(outcome, return_errors=return_errors)
    finally:
        flight.call_off()


async def _awaited(batches: Iterable[Any]) -> AsyncIterator[Any]:
    for batch in batches:
        yield batch


class _Sent:
    """One batch on its way; it keeps its rows, for it may have to be sent again."""

    def __init__(self, submit: Submit, batch: Any) -> None:
        self._submit = submit
        self._batch = batch
        self.send()

    def send(self) -> None:
        self.prediction: Prediction[Answer] | None = None
        try:
            self.prediction = self._submit(self._batch)
        except ModelaneError as error:
            self.refused = error

    @property
    def must_wait(self) -> bool:
        """Whether it was refused only for now."""
        if self.prediction is None:
            return isinstance(self.refused, TryLater)
        is_over = self.prediction.done() and not self.prediction.cancelled()
        return is_over and isinstance(self.prediction.exception(), TryLater)

    def outcome(self) -> Outcome:
        try:
            return self.refused if self.prediction is None else self.prediction.result()
        except ModelaneError as error:
            return error

    async def outcome_async(self) -> Outcome:
        try:
            return self.refused if self.prediction is None else await self.prediction
        except ModelaneError as error:
            return error


class _Flight:
    """The batches that are in flight, oldest first.

    A full lane halves their number, as in TCP; each window that is answered lets one more go.
    """

    def __init__(self, submit: Submit, window: int, patience_s: float) -> None:
        self._submit = submit
        self._window = window
        self._now_allowed = float(window)
        self._patience_s = patience_s
        self._sent: deque[_Sent] = deque()
        self._until_s = time.monotonic() + patience_s

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def head(self) -> _Sent:
        return self._sent[0]

    @property
    def has_room(self) -> bool:
        """Nothing more is sent while the last one waits to be taken."""
        return not self._sent or (len(self) < int(self._now_allowed) and not self._sent[-1].must_wait)

    def add(self, batch: Any) -> None:
        self._sent.append(_Sent(self._submit, batch))

    def pause_s(self, outcome: Outcome) -> float | None:
        """Seconds to wait before sending again; None if the outcome stands."""
        left_s = self._until_s - time.monotonic()
        if not isinstance(outcome, TryLater) or left_s <= 0:
            return None
        self._now_allowed = max(1.0, self._now_allowed / 2)
        return min(getattr(outcome, "retry_after_s", RETRY_AFTER_S), left_s)

    def send_again(self) -> None:
        """Those that were refused for now, oldest first, as many as are allowed."""
        refused = [sent for sent in self._sent if sent.must_wait]
        n = int(self._now_allowed) - (len(self) - len(refused))
        if refused and refused[0] is self.head:
            n = max(n, 1)
        for sent in refused[: max(n, 0)]:
            sent.send()

    def land(self, outcome: Outcome, *, return_errors: bool) -> Outcome:
        """The oldest one has its outcome."""
        self._sent.popleft()
        self._until_s = time.monotonic() + self._patience_s
        self._now_allowed = min(self._window, self._now_allowed + 1 / self._now_allowed)
        if isinstance(outcome, ModelaneError) and not return_errors:
            raise outcome
        return outcome

    def call_off(self) -> None:
        """Nobody reads on: what has not begun need not be computed."""
        for sent in self._sent:
            if sent.prediction is not None:
                sent.prediction.cancel()
