"""Ports on the loopback interface: find a free port, or report that a port is in use."""

from __future__ import annotations

import errno
import random
import socket

from modelane.errors import StackError

LOOPBACK = "127.0.0.1"


#: Ports below the ranges from which Linux, macOS and Windows assign ports to outgoing connections. A port in
#: those ranges may be taken for a moment by any program that opens a connection.
_CHOICE = range(20_000, 32_000)
_TRIES = 100


def free_port() -> int:
    """Return a port on which no program listens now. Another process may still take it first.

    Raises:
        StackError: all ports that were tried are in use.
    """
    for port in random.sample(_CHOICE, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise StackError(f"no free port found: tried {_TRIES} ports from {_CHOICE.start} to {_CHOICE.stop - 1}")


def require_free(port: int, *, program: str, remedy: str) -> None:
    """Raise an error if a port cannot be used.

    Args:
        port: TCP port on loopback.
        program: what will listen there, for the error message.
        remedy: what the user can do about it, for the error message.

    Raises:
        StackError: another program listens there, or this process may not use the port.
    """
    with socket.socket() as probe:
        # Servers set this option too: a connection in TIME_WAIT does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            problem = (
                "is already in use" if exc.errno == errno.EADDRINUSE else f"cannot be used: {exc.strerror}"
            )
            raise StackError(f"port {port} for {program} {problem}: {remedy}") from exc
