"""A real Flower server, and its API."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelane.local.ports import LOOPBACK, free_port
from support.processes import running
from support.waiting import eventually


class Flower:
    """The API of a Flower server on the loopback interface."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise OSError(f"Flower answers {response.status} to {path}")
        return body

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def sees(self, worker: str) -> bool:
        try:
            return bool(self.json("/api/workers?status=1").get(worker))
        except (OSError, http.client.HTTPException):
            return False


@contextmanager
def running_flower(environ: dict[str, str], worker: str, log: Path) -> Iterator[Flower]:
    """Start a Flower server and wait until it knows a worker."""
    port = free_port()
    listen = [f"--address={LOOPBACK}", f"--port={port}"]
    command = [sys.executable, "-m", "celery", "-A", "modelane_worker", "flower", *listen]
    with running(command, log, environ | {"FLOWER_UNAUTHENTICATED_API": "true"}) as process:
        flower = Flower(port)
        eventually(lambda: flower.sees(worker) or not process.runs, "Flower", poll_s=0.1)
        assert process.runs, process.said
        yield flower
