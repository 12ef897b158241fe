"""A batch that computes for too long counts as hung and ends its worker."""

import threading
import time
from types import SimpleNamespace

import pytest

from modelane_worker.lanes.lane import ActiveBatch
from modelane_worker.lanes.manager import EXIT_HUNG, LaneManager

LIMIT_S = 60.0


class KeptLane:
    """A lane with a batch; its event is set when its leases are renewed."""

    name = "modelane.predict.m"

    def __init__(self, active: ActiveBatch, runs_s: float = 0.0) -> None:
        self.active = active
        self.handoffs = SimpleNamespace(longest_run_s=lambda now_s: runs_s)
        self.renewed = threading.Event()

    def start(self) -> None:
        pass

    def renew(self) -> None:
        self.renewed.set()


@pytest.fixture
def ended_with():
    return []


def kept(active: ActiveBatch, ended_with: list[int], runs_s: float = 0.0) -> KeptLane:
    lane = KeptLane(active, runs_s)
    lanes = LaneManager(
        lambda _: lane,
        lease_s=0.03,
        batch_limit_s=LIMIT_S,
        refresh=lambda _: None,
        refresh_s=60,
        end=ended_with.append,
    )
    lanes.open(lane.name)
    lanes.start()
    assert lane.renewed.wait(10)
    lanes._running.clear()
    lanes.drain()
    return lane


def a_batch(age_s: float, *, computed: bool = False) -> ActiveBatch:
    return ActiveBatch((SimpleNamespace(),), time.monotonic() - age_s, computed)


def test_a_batch_that_computes_past_its_limit_ends_the_worker(ended_with):
    kept(a_batch(LIMIT_S + 1), ended_with)

    assert set(ended_with) == {EXIT_HUNG}


def test_a_batch_within_its_limit_is_renewed(ended_with):
    kept(a_batch(1), ended_with)

    assert ended_with == []


def test_results_that_wait_for_redis_are_kept_for_as_long_as_it_takes(ended_with):
    kept(a_batch(LIMIT_S + 1, computed=True), ended_with)

    assert ended_with == []


@pytest.mark.parametrize(("runs_s", "ends"), [(LIMIT_S - 1, False), (LIMIT_S + 1, True)])
def test_a_handoff_that_celery_runs_has_the_same_limit(ended_with, runs_s, ends):
    kept(ActiveBatch(), ended_with, runs_s)

    assert bool(ended_with) is ends
