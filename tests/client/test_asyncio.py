"""The same futures, awaited."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from client.lane import MODEL
from modelane.errors import PredictionFailed, TimedOut

ROWS = np.ones((2, 3))


def test_a_future_is_awaited(client, worker):
    async def main():
        return await client.submit(MODEL, ROWS)

    assert asyncio.run(main()).values.tolist() == [3.0, 3.0]


def test_a_thousand_are_awaited_in_any_order(client, worker):
    async def main():
        futures = [client.submit(MODEL, ROWS * n) for n in range(1000)]
        return [(await future).values[0] for future in reversed(futures)]

    assert asyncio.run(main()) == [3.0 * n for n in reversed(range(1000))]


def test_gather_keeps_the_order(client, worker):
    async def main():
        return await asyncio.gather(*(client.submit(MODEL, ROWS * n) for n in range(100)))

    assert [answer.values[0] for answer in asyncio.run(main())] == [3.0 * n for n in range(100)]


def test_the_loop_goes_on_meanwhile(client):
    async def main():
        ticks = 0
        waiting = asyncio.ensure_future(_awaited(client.submit(MODEL, ROWS, timeout_s=0.5)))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(TimedOut):
            await waiting
        return ticks

    assert asyncio.run(main()) > 10


def test_an_error_is_raised_where_it_is_awaited(client, lane):
    async def main():
        future = client.submit(MODEL, ROWS)
        await asyncio.to_thread(lambda: lane.answer(lane.take(), PredictionFailed("no")))
        with pytest.raises(PredictionFailed, match="no"):
            await future

    asyncio.run(main())


def test_a_cancelled_one_is_forgotten_and_hurts_no_other(client, lane):
    async def main():
        cancelled = client.submit(MODEL, ROWS)
        waiting = asyncio.ensure_future(_awaited(cancelled))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with lane:
            return cancelled, await client.submit(MODEL, ROWS)

    cancelled, other = asyncio.run(main())

    assert cancelled.cancelled()
    assert len(other) == 2
    assert len(client._wires._pending) == 0


def test_wait_for_gives_up_in_time(client):
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(client.submit(MODEL, ROWS)), 0.1)

    asyncio.run(main())


async def _awaited(future):
    return await future
