"""Check once whether a program of the stack answers. False means "not yet"."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from modelane.local.ports import LOOPBACK

#: Seconds that one answer may take.
_TIMEOUT_S = 1.0


def redis_answers(url: str) -> bool:
    """Return whether Redis answers PING; False while it is still loading its data."""
    with redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S) as client:
        try:
            return bool(client.ping())
        except (redis.BusyLoadingError, redis.ConnectionError, redis.TimeoutError):
            return False


def workers_answer(app: Celery, nodes: Iterable[str]) -> bool:
    """Return whether every one of the Celery ``nodes`` answers ``inspect ping``."""
    wanted = set(nodes)
    inspect = app.control.inspect(destination=sorted(wanted), timeout=_TIMEOUT_S)
    try:
        return wanted <= set(inspect.ping() or ())
    except (OperationalError, redis.RedisError, OSError):
        return False


def flower_sees(port: int, nodes: Iterable[str]) -> bool:
    """Return whether Flower on loopback answers and has received heartbeats of all ``nodes``."""
    try:
        if _get(port, "/healthcheck")[0] != http.HTTPStatus.OK:
            return False
        status, body = _get(port, "/api/workers?status=1")
    except (OSError, http.client.HTTPException):
        return False
    if status == http.HTTPStatus.UNAUTHORIZED:
        return True  # the user has set a password (such as FLOWER_BASIC_AUTH), so Flower is running
    if status != http.HTTPStatus.OK:
        return False
    alive = json.loads(body)
    return all(alive.get(node) for node in nodes)


def _get(port: int, path: str) -> tuple[int, bytes]:
    # http.client instead of urllib, because urllib would send a loopback request to a proxy of the
    # environment.
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
