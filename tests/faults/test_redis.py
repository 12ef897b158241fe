"""Requests are answered after Redis was killed, busy, full or read-only, or has lost its scripts."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import redis

from faults.scene import KEYS
from modelane.local.ports import LOOPBACK
from support.waiting import eventually

pytestmark = pytest.mark.full


def test_requests_survive_repeated_kills_of_redis(scene):
    scene.worker()
    with scene.under_load("kill -9 and restart of Redis, appendfsync always") as load:
        for _ in range(5):
            load.struck()
            scene.restart_redis()
            eventually(load.is_answered_again, "an answer after the restart")


def test_requests_survive_a_redis_that_loads_for_long(scene):
    worker = scene.worker()
    with scene.under_load("Redis is LOADING a large append-only file") as load:
        load.struck()
        scene.server.kill()
        # Under 64 MiB: from there on, Redis 7 rewrites the file, and stored answers could not be counted.
        scene.append(b"*2\r\n$4\r\nINCR\r\n$3\r\npad\r\n" * 2_600_000)
        scene.start_redis()
        eventually(load.is_answered_again, "an answer after loading")
    assert "loading the dataset" in worker.said


def test_a_full_redis_is_drained_and_then_accepts_requests_again(scene):
    # Given leases that expire while Redis has no memory left
    lost, worker = scene.worker(), scene.worker()
    with scene.under_load("Redis is out of memory (OOM, noeviction)") as load:
        eventually(scene.holds_a_batch, "a batch in hand")
        scene.redis.config_set("maxmemory", 1)
        lost.kill()
        load.struck()
        eventually(scene.is_at_rest, "a drained lane")
        scene.redis.config_set("maxmemory", 0)
        load.struck()
    assert worker.runs


def test_requests_survive_a_redis_that_becomes_a_replica(scene, free_port):
    worker = scene.worker()
    with scene.under_load("Redis is a read-only replica") as load:
        scene.redis.replicaof(LOOPBACK, free_port)
        load.struck()
        eventually(lambda: "read only replica" in worker.said, "a refusal")
        scene.redis.replicaof("NO", "ONE")
        load.struck()


def test_requests_survive_a_redis_that_is_busy_with_a_script(scene):
    worker = scene.worker()
    scene.redis.config_set("lua-time-limit", 50)

    def keep_busy() -> None:
        with suppress(redis.ResponseError), redis.Redis(port=scene.server.port) as client:
            client.eval("while true do end", 0)

    with scene.under_load("Redis is BUSY with another client's script") as load:
        busy = threading.Thread(target=keep_busy)
        busy.start()
        load.struck()
        eventually(lambda: "BUSY" in worker.said, "a refusal")
        scene.redis.script_kill()
        busy.join()
        load.struck()


def test_requests_survive_a_redis_that_has_lost_its_scripts(scene):
    scene.worker()
    with scene.under_load("SCRIPT FLUSH") as load:
        scene.in_turn(load, 10, scene.redis.script_flush)
    assert scene.redis.hlen(KEYS.dead) == 0
