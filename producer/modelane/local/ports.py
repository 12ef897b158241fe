"""Ports on the loopback interface: find a free one, or say in words that one is taken."""

from __future__ import annotations

import errno
import random
import socket

from modelane.errors import StackError

LOOPBACK = "127.0.0.1"


#: Below what Linux, macOS and Windows give to outgoing connections: any of those may be taken, for a moment,
#: by whoever connects to anything.
_CHOICE = range(20_000, 32_000)
_TRIES = 100


def free_port() -> int:
    """A port that nobody listens on now; another process may still take it first.

    Raises:
        StackError: all that were tried are taken.
    """
    for port in random.sample(_CHOICE, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise StackError(f"no free port found between {_CHOICE.start:,} and {_CHOICE.stop:,}")


def require_free(port: int, *, program: str, remedy: str) -> None:
    """Refuse a port that is taken.

    Args:
        program: who wants it, for the sentence.
        remedy: what the user can do about it, for the sentence.

    Raises:
        StackError: something listens there already, or the port may not be used.
    """
    with socket.socket() as probe:
        # As servers do: a connection that is only lingering (TIME_WAIT) does not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            why = "is taken" if exc.errno == errno.EADDRINUSE else f"cannot be used: {exc.strerror}"
            raise StackError(f"port {port}, for {program}, {why}; {remedy}") from exc
