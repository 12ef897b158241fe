"""Futures in an event loop."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from client.lane import DEADLINE_S, MODEL
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


def test_awaiting_does_not_block_the_loop(client):
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


def test_a_cancelled_future_does_not_affect_others(client, lane):
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
    assert len(client._session._pending) == 0


def test_wait_for_times_out(client):
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaited(client.submit(MODEL, ROWS)), 0.1)

    asyncio.run(main())


class TestAsyncioWait:
    """`asyncio.wait` adds callbacks that must run in its own loop."""

    def test_it_returns_all_futures_when_all_are_done(self, client, worker):
        async def main():
            asked = [client.submit(MODEL, ROWS * n) for n in range(100)]
            done, pending = await asyncio.wait(asked, timeout=DEADLINE_S)
            assert (done, pending) == (set(asked), set())
            return [future.result(0).values[0] for future in asked]

        assert asyncio.run(main()) == [3.0 * n for n in range(100)]

    def test_first_completed_returns_while_others_are_pending(self, client, lane):
        async def main():
            asked = [client.submit(MODEL, ROWS) for _ in range(3)]
            leases = await asyncio.to_thread(lane.take, 3)
            waiting = asyncio.ensure_future(
                asyncio.wait(asked, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
            )
            await asyncio.sleep(0)
            await asyncio.to_thread(lane.answer, leases[:1])
            done, pending = await waiting
            assert (len(done), len(pending)) == (1, 2)
            await asyncio.to_thread(lane.answer, leases[1:])
            return [len(await future) for future in pending]

        assert asyncio.run(main()) == [2, 2]

    def test_a_future_that_is_done_is_returned_immediately(self, client, worker):
        async def main():
            asked = client.submit(MODEL, ROWS)
            await asked
            done, _ = await asyncio.wait({asked}, timeout=DEADLINE_S)
            return done == {asked}

        assert asyncio.run(main())

    def test_first_exception_returns_on_an_error(self, client, lane):
        async def main():
            asked = [client.submit(MODEL, ROWS) for _ in range(2)]
            (lease, _) = await asyncio.to_thread(lane.take, 2)
            waiting = asyncio.ensure_future(
                asyncio.wait(asked, timeout=DEADLINE_S, return_when=asyncio.FIRST_EXCEPTION)
            )
            await asyncio.sleep(0)
            await asyncio.to_thread(lane.answer, [lease], PredictionFailed("no"))
            ((failed,), (pending,)) = await waiting
            pending.cancel()
            return failed.exception(0)

        assert isinstance(asyncio.run(main()), PredictionFailed)

    def test_its_timeout_leaves_the_futures_pending_and_no_callback_behind(self, client, lane):
        async def main():
            asked = client.submit(MODEL, ROWS)
            assert await asyncio.wait([asked], timeout=0.01) == (set(), {asked})
            assert not asked.done()
            assert asked._awaiting == ()
            await asyncio.to_thread(lambda: lane.answer(lane.take()))
            return len(await asked)

        assert asyncio.run(main()) == 2

    def test_a_cancelled_task_does_not_cancel_a_future_that_wait_still_waits_for(self, client, lane):
        async def main():
            asked = client.submit(MODEL, ROWS)
            waiting = asyncio.ensure_future(asyncio.wait([asked], timeout=DEADLINE_S))
            await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_awaited(asked), 0.01)
            await asyncio.to_thread(lambda: lane.answer(lane.take()))
            done, _ = await waiting
            return done == {asked}

        assert asyncio.run(main())


@pytest.mark.parametrize("wrap", [asyncio.wrap_future, asyncio.ensure_future])
def test_asyncio_can_wrap_it_in_its_own_future(client, worker, wrap):
    async def main():
        async def wrapped():
            return await wrap(client.submit(MODEL, ROWS))

        return len(await asyncio.wait_for(wrapped(), DEADLINE_S))

    assert asyncio.run(main()) == 2


def test_two_event_loops_share_a_client(client, worker):
    """Each loop runs in its own thread; an answer wakes the loop and the task that await it."""
    both_run = threading.Barrier(2)
    said = {}

    async def main(sign):
        both_run.wait(DEADLINE_S)
        told = []
        for first in range(0, 2000, 500):
            asked = [client.submit(MODEL, ROWS[:1] * n * sign) for n in range(first, first + 500)]
            told += [answer.values[0] for answer in await asyncio.gather(*asked)]
            told.append((await client.submit(MODEL, ROWS[:1] * sign)).values[0])
        done, pending = await asyncio.wait([client.submit(MODEL, ROWS) for _ in range(100)])
        return told, len(done), len(pending)

    def run(sign):
        said[sign] = asyncio.run(asyncio.wait_for(main(sign), 5 * DEADLINE_S))

    threads = [threading.Thread(target=run, args=(sign,), daemon=True) for sign in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * DEADLINE_S)

    for sign in (1, -1):
        expected = []
        for first in range(0, 2000, 500):
            expected += [3.0 * n * sign for n in range(first, first + 500)] + [3.0 * sign]
        assert said[sign] == (expected, 100, 0)
    assert len(client._session._pending) == 0


def test_two_event_loops_await_the_same_future(client, lane):
    asked = client.submit(MODEL, ROWS)
    both_wait = threading.Barrier(3)
    said = []

    async def main():
        asyncio.get_running_loop().call_soon(both_wait.wait)
        said.append(await asyncio.wait_for(_awaited(asked), DEADLINE_S))

    threads = [threading.Thread(target=lambda: asyncio.run(main()), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    both_wait.wait(DEADLINE_S)
    lane.answer(lane.take())
    for thread in threads:
        thread.join(DEADLINE_S)

    assert [len(answer) for answer in said] == [2, 2]


async def _awaited(future):
    return await future
