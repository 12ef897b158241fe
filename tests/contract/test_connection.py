"""Every error of redis-py is translated into one of Modelane that says what to do."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import socket
import ssl

import pytest
import redis

from modelane.broker.connection import broker_errors
from modelane.errors import BrokerRefused, BrokerUnavailable


def every_error() -> list[type[redis.RedisError]]:
    """Return all error classes of redis-py."""
    for module in pkgutil.walk_packages(redis.__path__, "redis."):
        try:
            importlib.import_module(module.name)
        except ImportError:
            continue  # needs an optional package
    found, left = {redis.RedisError}, [redis.RedisError]
    while left:
        new = [error for error in left.pop().__subclasses__() if error not in found]
        found.update(new)
        left += new
    return sorted(found, key=lambda error: (error.__module__, error.__name__))


def example(error: type[redis.RedisError]) -> redis.RedisError:
    """Return an error as redis-py creates it, without the error code of the server."""
    if issubclass(error, redis.exceptions.AskError):
        return error("3999 127.0.0.1:6381")
    wants = [
        parameter.default is parameter.empty
        for parameter in inspect.signature(error).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return error(*["it is so"] * max(1, sum(wants)))


#: Errors that need an operator: permissions, a wrong type, a cluster, a fault of Modelane.
REFUSED = (redis.ResponseError, redis.DataError, redis.exceptions.PubSubError)
PASSING = {"OutOfMemoryError", "ReadOnlyError", "TryAgainError", "ClusterDownError", "MasterDownError"}


@pytest.mark.parametrize("error", every_error(), ids=lambda error: f"{error.__module__}.{error.__name__}")
def test_every_error_of_redis_py_is_translated(error):
    raised = example(error)

    with pytest.raises((BrokerUnavailable, BrokerRefused)) as translated, broker_errors():
        raise raised

    is_refused = issubclass(error, REFUSED) and error.__name__ not in PASSING
    assert type(translated.value) is (BrokerRefused if is_refused else BrokerUnavailable)
    assert translated.value.__cause__ is raised
    assert str(raised) in str(translated.value)
    assert str(pickle.loads(pickle.dumps(translated.value))) == str(translated.value)


def test_the_errors_of_redis_py_are_found():
    assert len(every_error()) > 25


@pytest.mark.parametrize(
    "raised",
    [
        ConnectionResetError("reset"),
        BrokenPipeError("broken"),
        TimeoutError("too long"),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLCertVerificationError("self-signed certificate"),
    ],
    ids=lambda raised: type(raised).__name__,
)
def test_network_errors_mean_that_redis_is_unavailable(raised):
    with pytest.raises(BrokerUnavailable, match="Redis does not answer"), broker_errors():
        raise raised


@pytest.mark.parametrize(
    "code", ["LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS"]
)
def test_a_transient_error_of_a_script_means_that_redis_is_unavailable(code):
    said = f"{code} sorry. script: 6f1b, on @user_script:12."
    for sentence in (said, f"Error running script (call to f_6f1b): @user_script: 12: -{said}"):
        with pytest.raises(BrokerUnavailable, match="cannot serve the command now"), broker_errors():
            raise redis.ResponseError(sentence)


def test_full_memory_is_transient_and_a_missing_permission_is_not(redis_url):
    with redis.Redis.from_url(redis_url) as server:
        server.acl_setuser("guest", enabled=True, nopass=True, commands=["+get"], keys=["*"])
        server.config_set("maxmemory", 1)
        try:
            with pytest.raises(BrokerUnavailable, match="cannot serve the command now"), broker_errors():
                server.set("a", "b")
            with (
                redis.Redis.from_url(redis_url, username="guest", password="any") as guest,
                pytest.raises(BrokerRefused, match="Redis rejects the command"),
                broker_errors(),
            ):
                guest.delete("a")
        finally:
            server.config_set("maxmemory", 0)
            server.acl_deluser("guest")
