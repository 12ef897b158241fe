"""Deadlines use the clock of Redis: clients and workers whose clocks are hours off still get answers."""

from __future__ import annotations

import time

import pytest

from support.waiting import eventually

pytestmark = pytest.mark.full

HOUR_S = 3600.0


@pytest.mark.parametrize("hours", [-6, +6])
def test_requests_are_answered_when_the_clock_of_a_worker_is_off(scene, hours):
    scene.worker(clock_s=hours * HOUR_S)
    with scene.under_load(f"clock of a worker {hours:+} h off") as load:
        load.struck()


@pytest.mark.parametrize("hours", [-6, +6])
def test_requests_are_answered_when_the_clock_of_a_client_is_off(scene, monkeypatch, hours):
    scene.worker()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + hours * HOUR_S)
    with scene.under_load(f"clock of a client {hours:+} h off") as load:
        load.struck()
        eventually(load.is_answered_again, "an answer")
