"""`map` and `amap`: many batches with a bounded number in flight, answered in order."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from client.lane import MODEL
from modelane.client.transport import backlog
from modelane.errors import BadInput, PredictionFailed, QueueFull

ROWS = np.ones((2, 3))


def sums(answers) -> list[float]:
    return [answer.values[0] / 3 for answer in answers]


def numbered(n):
    return (ROWS * number for number in range(n))


def test_answers_come_in_the_order_of_the_batches(client, worker):
    assert sums(client.map(MODEL, numbered(300), window=7)) == list(range(300))


def test_without_batches_there_are_no_answers(client):
    assert list(client.map(MODEL, [])) == []


def test_batches_are_read_only_as_far_as_the_window_reaches(client, worker):
    read = []

    def batches():
        for number in range(100):
            read.append(number)
            yield ROWS * number

    answers = client.map(MODEL, batches(), window=5)
    assert read == []
    for number, _ in enumerate(answers):
        assert len(read) <= number + 6

    assert len(read) == 100


def bad_at(number):
    return ("not rows" if n == number else ROWS * n for n in range(6))


def test_a_failed_batch_raises_in_its_place(client, worker):
    answers = client.map(MODEL, bad_at(3))

    assert sums(next(answers) for _ in range(3)) == [0, 1, 2]
    with pytest.raises(BadInput):
        next(answers)


def test_errors_can_be_returned_in_place_of_answers(client, worker):
    outcomes = list(client.map(MODEL, bad_at(3), return_errors=True))

    assert isinstance(outcomes.pop(3), BadInput)
    assert sums(outcomes) == [0, 1, 2, 4, 5]


def test_errors_of_the_model_are_returned_too(client, lane):
    outcomes = client.map(MODEL, [ROWS], return_errors=True)
    threading.Thread(target=lambda: lane.answer(lane.take(), PredictionFailed("no"))).start()

    assert [str(outcome) for outcome in outcomes] == ["no"]


def test_it_waits_for_a_full_lane_and_loses_no_batch(opened, lane):
    client = opened(max_depth=10)

    with lane:
        assert sums(client.map(MODEL, numbered(60), window=20)) == list(range(60))


def test_it_waits_for_a_full_backlog(client, worker, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_WAITING", 2)

    assert sums(client.map(MODEL, numbered(60), window=20)) == list(range(60))


def test_it_fails_if_the_lane_stays_full(opened):
    client = opened(max_depth=3)
    held = [client.submit(MODEL, ROWS) for _ in range(3)]
    client.flush()

    with pytest.raises(QueueFull):
        list(client.map(MODEL, numbered(3), timeout_s=0.5))
    assert not any(future.done() for future in held)


def test_closing_the_iterator_cancels_the_rest(client, lane):
    answers = client.map(MODEL, numbered(10), window=4)
    threading.Thread(target=lambda: lane.answer(lane.take(4)[:1])).start()

    next(answers)
    answers.close()

    assert len(client._session._pending) == 0


@pytest.mark.parametrize("window", [0, -1, 1.5, "3", None, True])
def test_a_wrong_window_is_refused(client, window):
    with pytest.raises(BadInput, match="window="):
        client.map(MODEL, [ROWS], window=window)


def test_an_id_is_refused(client):
    with pytest.raises(BadInput, match="id identifies a single request"):
        client.map(MODEL, [ROWS], id="one")


class TestAsynchronous:
    def test_amap_answers_in_order(self, client, worker):
        async def main():
            return [answer async for answer in client.amap(MODEL, numbered(100), window=7)]

        assert sums(asyncio.run(main())) == list(range(100))

    def test_batches_may_be_asynchronous(self, client, worker):
        async def batches():
            for number in range(30):
                await asyncio.sleep(0)
                yield ROWS * number

        async def main():
            return [answer async for answer in client.amap(MODEL, batches(), window=7)]

        assert sums(asyncio.run(main())) == list(range(30))

    def test_it_waits_for_a_full_lane(self, opened, lane):
        async def main():
            return [answer async for answer in opened(max_depth=10).amap(MODEL, numbered(60), window=20)]

        with lane:
            assert sums(asyncio.run(main())) == list(range(60))

    def test_errors_are_raised_or_returned(self, client, worker):
        async def main():
            returned = [each async for each in client.amap(MODEL, bad_at(3), return_errors=True)]
            with pytest.raises(BadInput):
                [each async for each in client.amap(MODEL, bad_at(3))]
            return returned

        assert isinstance(asyncio.run(main())[3], BadInput)
