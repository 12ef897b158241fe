"""Run the package's Lua scripts, each of which is one atomic step, with little overhead.

redis-py does so much around each command (retries, callbacks, telemetry) that a script took three times as
long as writing to the socket and reading from it. Here commands are written directly to one of its
connections and replies are read directly from it; redis-py still creates, checks and pools the connections.
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
    """One ``.lua`` file, which is sent to the server when the server does not have it yet.

    Calls raise the errors of redis-py.

    Args:
        client: its connections are used.
        verb: name of the file without ``.lua``.
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
        """Return the command to send in one pipeline with others.

        Its reply is :class:`NoScriptError` if the server does not have the script.
        """
        return ("EVALSHA", self._sha, len(keys), *keys, *args)


def ask(client: redis.Redis, *commands: Command) -> list[Any]:
    """Send commands in one pipeline.

    Returns:
        Their replies, undecoded.

    Raises:
        redis.RedisError: of the first command that failed.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()  # redis-py has types for some of its methods
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        replies = [_reply(connection) for _ in commands]
    except BaseException:  # unread replies in the socket must not answer the next command
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
    """Return a script and its SHA-1 digest, by which Redis identifies it."""
    source = files("modelane.broker").joinpath("lua", f"{verb}.lua").read_text("utf-8")
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
