"""The retraining of a model that is under way, and who waits for it: a trainer's record of it, read."""

from __future__ import annotations

from typing import Any

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.request_control import RequestControl
from modelane.keys import RUN_KEY_PREFIX

_JOINED = "joined "


def under_way(client: redis.Redis, prefix: str, model: str) -> list[str]:
    """Ids of the requests that the run of a model will answer, its own first; none if there is no run."""
    with broker_errors():
        found: Any = client.hgetall(f"{prefix}{RUN_KEY_PREFIX}{model}")
    run = {name.decode(): value.decode() for name, value in found.items()}
    if "id" not in run or "outcome" in run:
        return []
    return [run["id"], *(name.removeprefix(_JOINED) for name in run if name.startswith(_JOINED))]


def cancel(client: redis.Redis, prefix: str, model: str) -> list[str]:
    """Revoke the run of a model, and those who wait for it, so that none of them begins anew; their ids."""
    if ids := under_way(client, prefix, model):
        RequestControl(client, prefix).revoke(ids)
    return ids
