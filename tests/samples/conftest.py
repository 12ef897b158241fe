"""A store and a Redis as an earlier commit wrote them, loaded into a temporary home and server."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from modelane.local.redis_server import RedisServer
from support.workplace import Workplace

SAMPLE = Path(__file__).parent / "before_rooms"


@dataclass
class Sample:
    """The loaded sample.

    Attributes:
        workplace: its store and Redis; the test starts programs there.
        expected: what the earlier commit's estimators answered, by the id of the request.
    """

    workplace: Workplace
    expected: dict[str, Any]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    folder = tmp_path_factory.mktemp("sample")
    shutil.copytree(SAMPLE / "home", folder / "home")
    shutil.copytree(SAMPLE / "recipes", folder / "recipes")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer())
        workplace = Workplace(folder / "home", server, ends, recipes=str(folder / "recipes"))
        load(json.loads((SAMPLE / "redis.json").read_text()), workplace.redis)
        yield Sample(workplace, json.loads((SAMPLE / "expected.json").read_text()))


def load(document: dict[str, Any], client: redis.Redis) -> None:
    """Write the keys to an empty Redis, as if it had been stopped when they were read and started now.

    Scores that are Redis times, and deadlines of messages, move by the time in between, so that nothing is
    older than it was then.
    """
    seconds, microseconds = client.time()
    later_s = seconds + microseconds / 1e6 - document["redis_time_s"]

    def moved(found: re.Match[str]) -> str:
        return f'"expires":"{(datetime.fromisoformat(found[1]) + timedelta(seconds=later_s)).isoformat()}"'

    def as_bytes(value: str | dict[str, str]) -> bytes:
        if isinstance(value, dict):
            return base64.b64decode(value["base64"])
        return re.sub(r'"expires": ?"([^"]+)"', moved, value).encode()

    for key, found in document["keys"].items():
        value = found["value"]
        match found["type"]:
            case "string":
                client.set(key, as_bytes(value))
            case "list":
                client.rpush(key, *map(as_bytes, value))
            case "set":
                client.sadd(key, *value)
            case "zset":
                client.zadd(key, {name: score + later_s for name, score in value.items()})
            case "hash":
                client.hset(key, mapping={name: as_bytes(item) for name, item in value.items()})
        if "until" in value and found["type"] == "hash":  # the claim of a retraining
            client.hset(key, "until", float(value["until"]) + later_s)
        if ttl_s := found.get("ttl_s"):
            client.pexpire(key, int(ttl_s * 1000))
