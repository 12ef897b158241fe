"""The border to redis-py: how connections are made, and how its errors become ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthorizationError,
    ClusterDownError,
    OutOfMemoryError,
    PubSubError,
    TryAgainError,
)
from redis.retry import Retry

from modelane.errors import BrokerRefused, BrokerUnavailable, SettingsError
from modelane.settings import Settings

#: Seconds.  Longer than any blocking call (``tick_s``) and any script, so that only a dead peer exceeds it.
SOCKET_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0


def require_lanes(settings: Settings) -> None:
    """Raises :class:`SettingsError`: the broker is another one than Redis."""
    if not settings.has_lanes:
        raise SettingsError(
            "MODELANE_BROKER_URL is no Redis, and this needs one: elsewhere, send tasks with Celery's own "
            "client (docs/how-to/other-brokers.md)"
        )


def connect(settings: Settings) -> redis.Redis:
    """A client with its own pool; connects on first use, safe to share between threads.

    It repeats nothing by itself: whoever called knows whether, when and how a repeat is harmless.

    Raises:
        SettingsError: the broker's URL cannot be read.
    """
    try:
        return redis.Redis.from_url(
            settings.broker_url,
            socket_timeout=max(SOCKET_TIMEOUT_S, settings.tick_s * 2),
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_keepalive=True,
            health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:
        # Without its cause: that repeats parts of the URL, and the password may be among them.
        raise SettingsError("MODELANE_BROKER_URL cannot be parsed: expected redis://HOST:PORT/DB") from None


def server_time_s(client: redis.Redis) -> float:
    """Return the time on the clock of Redis, in Unix seconds.

    Raises:
        BrokerUnavailable: Redis does not answer.
    """
    with broker_errors():
        seconds, microseconds = client.time()
    return float(seconds) + microseconds / 1e6


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn what redis-py raises into ours, cause kept.

    Raises:
        BrokerUnavailable: no answer, or one that will be another one later.
        BrokerRefused: an answer that stays the same until somebody acts.
    """
    try:
        yield
    except redis.ResponseError as exc:
        # redis-py takes the code off an error that it has a class for; inside a script it stands somewhere in
        # the sentence, not in front.
        if isinstance(exc, _PASSING) or _PASSING_CODES.intersection(re.findall(r"[A-Z]+", str(exc))):
            raise BrokerUnavailable(f"Redis cannot serve now: {exc}") from exc
        raise BrokerRefused(f"Redis refuses: {exc}") from exc
    except (redis.DataError, PubSubError) as exc:
        raise BrokerRefused(f"this cannot be said to Redis: {exc}") from exc
    except (redis.AuthenticationError, AuthorizationError) as exc:
        raise BrokerUnavailable(f"Redis does not let us in: {exc}") from exc
    except (redis.RedisError, OSError) as exc:
        raise BrokerUnavailable(f"Redis does not answer: {exc}") from exc


#: Errors with which a sound request meets a server that is starting, full, busy or a replica.
_PASSING = (OutOfMemoryError, redis.ReadOnlyError, TryAgainError, ClusterDownError)
_PASSING_CODES = frozenset(
    {"LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN"}
)
