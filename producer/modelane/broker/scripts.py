"""The package's Lua scripts, each one step of Redis, and the short way to it.

redis-py does so much around each command (retries, callbacks, telemetry) that a script cost three times what
writing to a socket and reading from it costs.  Here a command goes straight to one of its connections and its
reply comes straight back; how connections are made, checked and given back stays redis-py's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.exceptions import NoScriptError

Argument = bytes | str | int | float
Command = tuple[Argument, ...]


class Script:
    """One ``.lua`` file; sent to the server when it does not know it yet.  Raises what redis-py raises.

    Args:
        client: its connections are used.
        verb: the file's name.
    """

    def __init__(self, client: redis.Redis, verb: str) -> None:
        self._redis = client
        self._source, self._sha = _source(verb)

    def __call__(self, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        try:
            return ask(self._redis, self.command(keys, args))[0]
        except NoScriptError:
            return ask(self._redis, ("EVAL", self._source, len(keys), *keys, *args))[0]

    def command(self, keys: Sequence[Argument], args: Sequence[Argument]) -> Command:
        """To be asked together with others; :class:`NoScriptError` if the server does not know it."""
        return ("EVALSHA", self._sha, len(keys), *keys, *args)


def ask(client: redis.Redis, *commands: Command) -> list[Any]:
    """Send commands together; their replies as they come, undecoded.

    Raises:
        redis.RedisError: as redis-py raises it, the first one if several commands failed.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()  # redis-py has types for some of its methods
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        replies = [_reply(connection) for _ in commands]
    except BaseException:  # what is left in the socket is nobody's answer
        connection.disconnect()
        raise
    finally:
        pool.release(connection)
    for reply in replies:
        if isinstance(reply, redis.ResponseError):
            raise reply
    return replies


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as exc:
        return exc


@cache
def _source(verb: str) -> tuple[str, str]:
    """A script and its digest, which Redis knows it by."""
    source = files("modelane.broker").joinpath("lua", f"{verb}.lua").read_text("utf-8")
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
