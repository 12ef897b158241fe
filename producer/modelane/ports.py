"""Ports on the loopback interface: find a free one, or say in words that one is taken."""

from __future__ import annotations

import errno
import socket

from modelane.errors import StackError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on now; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


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
