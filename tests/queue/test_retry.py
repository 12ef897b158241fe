"""Waiting while Redis is unavailable: the pauses, and what the log says."""

import logging

import pytest

from modelane.broker.retry import Outage
from modelane.errors import BrokerRefused, BrokerUnavailable

AWAY = BrokerUnavailable("Redis does not answer")


class Loop:
    """A loop whose pauses take no time and that has to stop in the n-th one."""

    def __init__(self, stops_after: int = 1000) -> None:
        self.pauses: list[float] = []
        self.now_s = 0.0
        self._stops_after = stops_after

    def wait(self, pause_s: float) -> bool:
        self.pauses.append(pause_s)
        self.now_s += pause_s
        return len(self.pauses) >= self._stops_after


class Flaky:
    """Fails so many times, then returns a value."""

    def __init__(self, failures: int, error: Exception = AWAY) -> None:
        self.left = failures
        self._error = error

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self._error
        return "done"


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def outage(loop) -> Outage:
    return Outage("lane", loop.wait, lambda: loop.now_s)


def test_a_call_that_succeeds_neither_pauses_nor_logs(loop, outage, caplog):
    caplog.set_level(logging.DEBUG)

    assert outage.retry(Flaky(0)) == "done"
    assert (loop.pauses, caplog.records) == ([], [])


def test_a_call_is_retried_with_longer_pauses_until_it_succeeds(loop, outage):
    assert outage.retry(Flaky(6)) == "done"
    assert loop.pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_an_outage_is_logged_once_when_it_starts_and_once_when_it_is_over(outage, caplog):
    caplog.set_level(logging.INFO)

    outage.retry(Flaky(3))

    assert [record.getMessage() for record in caplog.records] == [
        "lane: Redis does not answer; retrying",
        "lane: Redis is available again after 0.7 s",
    ]
    assert [record.event for record in caplog.records] == ["broker_unavailable", "broker_available"]


def test_the_next_outage_starts_with_a_short_pause_and_a_line_in_the_log(loop, outage, caplog):
    outage.retry(Flaky(4))
    loop.pauses.clear()
    caplog.clear()

    outage.retry(Flaky(1))

    assert loop.pauses == [0.1]
    assert len(caplog.records) == 1  # the line of its end is of a lower level


def test_a_loop_that_has_to_stop_gets_the_error():
    loop = Loop(stops_after=2)
    flaky = Flaky(5)

    with pytest.raises(BrokerUnavailable, match="does not answer"):
        Outage("lane", loop.wait).retry(flaky)

    assert flaky.left == 3


def test_an_error_that_needs_an_operator_is_not_retried(loop, outage):
    with pytest.raises(BrokerRefused):
        outage.retry(Flaky(1, BrokerRefused("no permission")))

    assert loop.pauses == []


def test_a_pause_returns_whether_the_loop_has_to_stop():
    outage = Outage("lane", Loop(stops_after=2).wait)
    error = BrokerRefused("no permission")

    assert [outage.pause(error), outage.pause(error)] == [False, True]
