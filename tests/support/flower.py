"""A real Flower, and its answers."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelane.local.die_with_parent import die_with_parent
from modelane.local.ports import LOOPBACK, free_port
from support.waiting import DEADLINE_S, eventually


class Flower:
    """Its API on loopback."""

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
    """One that has heard of a worker."""
    port = free_port()
    listen = [f"--address={LOOPBACK}", f"--port={port}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            die_with_parent([sys.executable, "-m", "celery", "-A", "modelane_worker", "flower", *listen]),
            env=os.environ | environ | {"FLOWER_UNAUTHENTICATED_API": "true"},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        flower = Flower(port)
        eventually(lambda: flower.sees(worker) or process.poll() is not None, "Flower")
        assert process.poll() is None, log.read_text()
        yield flower
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
