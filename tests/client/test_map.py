"""Many batches through a bounded window, in order."""

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


def test_no_batches_have_no_answers(client):
    assert list(client.map(MODEL, [])) == []


def test_input_is_read_as_the_window_moves_on_and_no_further(client, worker):
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


def test_a_batch_that_fails_raises_at_its_place(client, worker):
    answers = client.map(MODEL, bad_at(3))

    assert sums(next(answers) for _ in range(3)) == [0, 1, 2]
    with pytest.raises(BadInput):
        next(answers)


def test_an_error_may_take_the_place_of_its_answer(client, worker):
    outcomes = list(client.map(MODEL, bad_at(3), return_errors=True))

    assert isinstance(outcomes.pop(3), BadInput)
    assert sums(outcomes) == [0, 1, 2, 4, 5]


def test_what_the_model_refuses_is_returned_too(client, lane):
    outcomes = client.map(MODEL, [ROWS], return_errors=True)
    threading.Thread(target=lambda: lane.answer(lane.take(), PredictionFailed("no"))).start()

    assert [str(outcome) for outcome in outcomes] == ["no"]


def test_a_full_lane_is_waited_for_and_no_batch_is_lost(opened, lane):
    client = opened(max_depth=10)

    with lane:
        assert sums(client.map(MODEL, numbered(60), window=20)) == list(range(60))


def test_a_full_outbox_is_waited_for_too(client, worker, monkeypatch):
    monkeypatch.setattr(backlog, "MAX_WAITING", 2)

    assert sums(client.map(MODEL, numbered(60), window=20)) == list(range(60))


def test_a_lane_that_stays_full_is_not_waited_for_without_end(opened):
    client = opened(max_depth=3)
    held = [client.submit(MODEL, ROWS) for _ in range(3)]
    client.flush()

    with pytest.raises(QueueFull):
        list(client.map(MODEL, numbered(3), timeout_s=0.5))
    assert not any(future.done() for future in held)


def test_whoever_stops_reading_calls_off_the_rest(client, lane):
    answers = client.map(MODEL, numbered(10), window=4)
    threading.Thread(target=lambda: lane.answer(lane.take(4)[:1])).start()

    next(answers)
    answers.close()

    assert len(client._session._pending) == 0


@pytest.mark.parametrize("window", [0, -1, 1.5, "3", None, True])
def test_a_window_is_a_number_of_batches(client, window):
    with pytest.raises(BadInput, match="window="):
        client.map(MODEL, [ROWS], window=window)


def test_an_id_is_for_one_request(client):
    with pytest.raises(BadInput, match="id identifies a single request"):
        client.map(MODEL, [ROWS], id="one")


class TestAsynchronous:
    def test_the_same_for_an_event_loop(self, client, worker):
        async def main():
            return [answer async for answer in client.amap(MODEL, numbered(100), window=7)]

        assert sums(asyncio.run(main())) == list(range(100))

    def test_batches_may_come_asynchronously(self, client, worker):
        async def batches():
            for number in range(30):
                await asyncio.sleep(0)
                yield ROWS * number

        async def main():
            return [answer async for answer in client.amap(MODEL, batches(), window=7)]

        assert sums(asyncio.run(main())) == list(range(30))

    def test_a_full_lane_is_waited_for(self, opened, lane):
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
