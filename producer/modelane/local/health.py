"""Whether the parts of a stack answer.  Each question is asked once, and False means "not yet"."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from pathlib import Path

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from modelane.local.ports import LOOPBACK

_ANSWER_S = 1.0


def redis_answers(url: str) -> bool:
    """Whether the server answers PING; False while it still loads its data."""
    with redis.Redis.from_url(url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S) as client:
        try:
            return bool(client.ping())
        except (redis.BusyLoadingError, redis.ConnectionError, redis.TimeoutError):
            return False


def workers_answer(app: Celery, nodes: Iterable[str]) -> bool:
    """Whether each of the Celery ``nodes`` answers `inspect ping`."""
    wanted = set(nodes)
    inspect = app.control.inspect(destination=sorted(wanted), timeout=_ANSWER_S)
    try:
        return wanted <= set(inspect.ping() or ())
    except (OperationalError, redis.RedisError, OSError):
        return False


def flower_sees(port: int, nodes: Iterable[str]) -> bool:
    """Whether Flower on loopback answers, and knows from events that each of ``nodes`` is alive."""
    try:
        if _get(port, "/healthcheck")[0] != http.HTTPStatus.OK:
            return False
        status, body = _get(port, "/api/workers?status=1")
    except (OSError, http.client.HTTPException):
        return False
    if status == http.HTTPStatus.UNAUTHORIZED:
        return True  # its user has set a password (FLOWER_BASIC_AUTH …); it answers, so it runs
    if status != http.HTTPStatus.OK:
        return False
    alive = json.loads(body)
    return all(alive.get(node) for node in nodes)


def models_in_service(store: Path) -> list[str]:
    """Names of the models in the store that have a champion, sorted.

    Reads as little of the store as it can: its code belongs to the worker, and imports go one way.
    """
    return sorted(aliases.parent.name for aliases in store.glob("*/aliases.json") if _has_champion(aliases))


def _has_champion(aliases: Path) -> bool:
    try:
        return bool(json.loads(aliases.read_bytes()).get("champion"))
    except (OSError, ValueError, AttributeError):
        return False  # damaged: the worker says so


def _get(port: int, path: str) -> tuple[int, bytes]:
    # http.client, not urllib: a proxy in the environment must not be asked about loopback.
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
