"""Connect to Redis, and translate the errors of redis-py into Modelane's.

Every other module that talks to Redis wraps its calls in :func:`broker_errors`.
"""

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

#: Seconds. Longer than any blocking command (``tick_s``) and any script: only a dead peer exceeds it.
SOCKET_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0


def require_lanes(settings: Settings) -> None:
    """Check that the broker is Redis.

    Raises:
        SettingsError: it is not.
    """
    if not settings.has_lanes:
        raise SettingsError(
            "MODELANE_BROKER_URL is not the URL of a Redis, which is needed here: with other brokers, send "
            "tasks with Celery's own client (docs/how-to/other-brokers.md)"
        )


def connect(settings: Settings) -> redis.Redis:
    """Return a thread-safe client with its own connection pool, which connects on first use.

    It never retries a command by itself: only the caller knows whether a repeat is harmless.

    Raises:
        SettingsError: the URL of the broker cannot be parsed.
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
        # Without its cause, which repeats parts of the URL and may hold the password.
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
    """Translate what redis-py raises into Modelane's errors, with the original as cause.

    Raises:
        BrokerUnavailable: Redis does not answer, or the same command may succeed later.
        BrokerRefused: the command fails in the same way until an operator acts.
    """
    try:
        yield
    except redis.ResponseError as exc:
        # redis-py strips an error code that it has a class for. In an error from inside a script, the code is
        # somewhere in the message, not at its start.
        if isinstance(exc, _TRANSIENT) or _TRANSIENT_CODES.intersection(re.findall(r"[A-Z]+", str(exc))):
            raise BrokerUnavailable(f"Redis cannot serve the command now: {exc}") from exc
        raise BrokerRefused(f"Redis rejects the command: {exc}") from exc
    except (redis.DataError, PubSubError) as exc:
        raise BrokerRefused(f"the command cannot be sent to Redis: {exc}") from exc
    except (redis.AuthenticationError, AuthorizationError) as exc:
        raise BrokerUnavailable(
            f"Redis authentication failed: check user and password in MODELANE_BROKER_URL ({exc})"
        ) from exc
    except (redis.RedisError, OSError) as exc:
        raise BrokerUnavailable(
            f"Redis does not answer: check that it runs, and MODELANE_BROKER_URL ({exc})"
        ) from exc


#: Errors with which a server that is starting, full, busy or a replica answers a valid command.
_TRANSIENT = (OutOfMemoryError, redis.ReadOnlyError, TryAgainError, ClusterDownError)
_TRANSIENT_CODES = frozenset(
    {"LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN"}
)
