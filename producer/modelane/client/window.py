"""Many batches, answered in order with a bounded number in flight.

Batches are read as room becomes free, so neither they nor their answers have to fit into memory. Used by
:mod:`modelane.client.map` and by `modelane score`.
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

#: Seconds until a batch is sent again, if the error does not say when.
RETRY_AFTER_S = 0.2


def check_window(value: Any) -> int:
    """Return a number of batches.

    Raises:
        BadInput: not a positive integer.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise BadInput(
        f"window={value!r:.40}: expected the number of batches in flight, an integer of at least 1"
    )


def in_order(
    submit: Submit, batches: Iterable[Any], *, window: int, return_errors: bool, patience_s: float
) -> Iterator[Outcome]:
    """Yield one outcome per batch, in the order of the batches.

    Args:
        submit: sends one batch.
        batches: read only as far as the window reaches.
        window: batches in flight.
        return_errors: yield the error of a failed batch instead of raising it.
        patience_s: how long a refused batch (the lane is full, or Redis is unavailable) is sent again while
            no answer arrives.
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
            outcome = flight.oldest.outcome()
            if (pause_s := flight.pause_s(outcome)) is not None:
                time.sleep(pause_s)
            else:
                yield flight.remove_oldest(outcome, return_errors=return_errors)
    finally:
        flight.cancel()


async def in_order_async(
    submit: Submit,
    batches: Iterable[Any] | AsyncIterable[Any],
    *,
    window: int,
    return_errors: bool,
    patience_s: float,
) -> AsyncIterator[Outcome]:
    """Do the same as :func:`in_order` in an event loop; ``batches`` may be asynchronous."""
    flight = _Flight(submit, window, patience_s)
    source = batches if isinstance(batches, AsyncIterable) else _to_async(batches)
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
            outcome = await flight.oldest.outcome_async()
            if (pause_s := flight.pause_s(outcome)) is not None:
                await asyncio.sleep(pause_s)
            else:
                yield flight.remove_oldest(outcome, return_errors=return_errors)
    finally:
        flight.cancel()


async def _to_async(batches: Iterable[Any]) -> AsyncIterator[Any]:
    for batch in batches:
        yield batch


class _SentBatch:
    """One batch in flight; it keeps its rows, because it may have to be sent again."""

    def __init__(self, submit: Submit, batch: Any) -> None:
        self._submit = submit
        self._batch = batch
        self.send()

    def send(self) -> None:
        self.prediction: Prediction[Answer] | None = None
        try:
            self.prediction = self._submit(self._batch)
        except ModelaneError as error:
            self.error = error

    @property
    def must_wait(self) -> bool:
        """Whether it was refused, and should be sent again later."""
        if self.prediction is None:
            return isinstance(self.error, TryLater)
        is_done = self.prediction.done() and not self.prediction.cancelled()
        return is_done and isinstance(self.prediction.exception(), TryLater)

    def outcome(self) -> Outcome:
        try:
            return self.error if self.prediction is None else self.prediction.result()
        except ModelaneError as error:
            return error

    async def outcome_async(self) -> Outcome:
        try:
            return self.error if self.prediction is None else await self.prediction
        except ModelaneError as error:
            return error


class _Flight:
    """The batches in flight, oldest first.

    A full lane halves their number, as TCP does with its congestion window; each window that is answered
    raises it by one.
    """

    def __init__(self, submit: Submit, window: int, patience_s: float) -> None:
        self._submit = submit
        self._window = window
        self._n_allowed = float(window)
        self._patience_s = patience_s
        self._sent: deque[_SentBatch] = deque()
        self._until_s = time.monotonic() + patience_s

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def oldest(self) -> _SentBatch:
        return self._sent[0]

    @property
    def has_room(self) -> bool:
        """Whether the next batch may be sent; not while the one before is refused."""
        return not self._sent or (len(self) < int(self._n_allowed) and not self._sent[-1].must_wait)

    def add(self, batch: Any) -> None:
        """Send the next batch."""
        self._sent.append(_SentBatch(self._submit, batch))

    def pause_s(self, outcome: Outcome) -> float | None:
        """Return the seconds until the oldest batch is sent again; None if its outcome is final."""
        left_s = self._until_s - time.monotonic()
        if not isinstance(outcome, TryLater) or left_s <= 0:
            return None
        self._n_allowed = max(1.0, self._n_allowed / 2)
        return min(getattr(outcome, "retry_after_s", RETRY_AFTER_S), left_s)

    def send_again(self) -> None:
        """Send refused batches again, oldest first, as many as are allowed in flight."""
        refused = [sent for sent in self._sent if sent.must_wait]
        n = int(self._n_allowed) - (len(self) - len(refused))
        if refused and refused[0] is self.oldest:
            n = max(n, 1)
        for sent in refused[: max(n, 0)]:
            sent.send()

    def remove_oldest(self, outcome: Outcome, *, return_errors: bool) -> Outcome:
        """Remove the oldest batch, and return or raise its outcome."""
        self._sent.popleft()
        self._until_s = time.monotonic() + self._patience_s
        self._n_allowed = min(self._window, self._n_allowed + 1 / self._n_allowed)
        if isinstance(outcome, ModelaneError) and not return_errors:
            raise outcome
        return outcome

    def cancel(self) -> None:
        """Cancel all batches in flight: nobody reads their answers."""
        for sent in self._sent:
            if sent.prediction is not None:
                sent.prediction.cancel()
