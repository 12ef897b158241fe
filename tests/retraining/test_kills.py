"""kill -9 at every step of a retraining: it is resumed, and publishes and promotes one complete version."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from retraining.conftest import CASES, ROW

pytestmark = pytest.mark.full


@pytest.mark.timeout(1600)
@pytest.mark.parametrize(("victim", "point"), CASES)
def test_a_killed_retraining_is_resumed_and_publishes_one_version(falls, victim, point, record_property):
    (fall,) = [fall for fall in falls if (fall.victim, fall.point) == (victim, point)]
    record_property(ROW, asdict(fall))

    assert fall.happened, "it was not killed"
    assert (fall.outcome, fall.versions, fall.champion, fall.leftovers) == ("promoted", 1, True, ())
    assert list(fall.n_tried) == sorted(fall.n_tried), "its search has restarted"
