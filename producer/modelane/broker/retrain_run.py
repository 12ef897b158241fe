"""Find and cancel the running retraining of a model, from the record that its trainer keeps in Redis."""

from __future__ import annotations

from typing import Any

import redis

from modelane.broker.connection import broker_errors
from modelane.broker.request_control import RequestControl
from modelane.keys import RUN_KEY_PREFIX

_JOINED = "joined "


def requests_of_run(client: redis.Redis, prefix: str, model: str) -> list[str]:
    """Return the ids of the requests that a model's current run will answer.

    Returns:
        The id for which the run was started, then those that joined it; empty if no run is in progress.
    """
    with broker_errors():
        found: Any = client.hgetall(f"{prefix}{RUN_KEY_PREFIX}{model}")
    run = {name.decode(): value.decode() for name, value in found.items()}
    if "id" not in run or "outcome" in run:
        return []
    return [run["id"], *(name.removeprefix(_JOINED) for name in run if name.startswith(_JOINED))]


def cancel(client: redis.Redis, prefix: str, model: str) -> list[str]:
    """Revoke the current run of a model and all requests that joined it, so that none starts another run.

    Returns:
        The ids of the revoked requests.
    """
    if ids := requests_of_run(client, prefix, model):
        RequestControl(client, prefix).revoke(ids)
    return ids
