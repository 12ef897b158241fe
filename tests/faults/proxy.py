"""A proxy that drops connections without closing them, which makes them half-open."""

from __future__ import annotations

import socket
import threading
from contextlib import AbstractContextManager, suppress

from modelane.local.ports import LOOPBACK

_PIECE = 65_536


class Proxy(AbstractContextManager["Proxy"]):
    """Forwards connections from its own port to ``port``."""

    def __init__(self, port: int) -> None:
        self._target = (LOOPBACK, port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self._silent: set[socket.socket] = set()
        self.subscriptions: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self._listener.getsockname()[1]}/0"

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            each.close()

    def silence(self) -> None:
        """Stop forwarding on all current connections without closing them; new connections work."""
        self._silent |= self._open

    def silence_subscriptions(self) -> None:
        """Do the same for connections with a subscription only."""
        self._silent |= self.subscriptions

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if b"SUBSCRIBE" in piece:
                    self.subscriptions |= {source, sink}
                if source in self._silent:
                    return  # and leave both sockets open
                sink.sendall(piece)
            if source not in self._silent:
                sink.shutdown(socket.SHUT_WR)
