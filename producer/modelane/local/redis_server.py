"""A Redis server for the duration of a ``with`` block; used by tests, benchmarks and the testing Stack.

``modelane up`` runs the same command under its supervisor; see :mod:`modelane.local.redis_program`.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from modelane.errors import StackError
from modelane.local.health import redis_answers
from modelane.local.logged_process import LoggedProcess
from modelane.local.ports import free_port
from modelane.local.redis_program import local_url, server_command

#: Seconds that a server may take to load its append-only file. Enough for about 1 GB on a slow disk.
START_DEADLINE_S = 60.0

#: Seconds that a server may take to flush and close its append-only file.
STOP_DEADLINE_S = 10.0


class RedisServer:
    """A Redis server on the loopback interface, as a context manager.

    The server also ends when the thread that started it ends; see :mod:`modelane.local.die_with_parent`.

    Args:
        port: TCP port; None: a free port.
        folder: where the append-only file is kept; None: the server keeps nothing on disk.
    """

    def __init__(self, port: int | None = None, folder: Path | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._process: LoggedProcess | None = None
        self._cleanup = ExitStack()

    @property
    def url(self) -> str:
        return local_url(self.port)

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            StackError: the server is not running.
        """
        if self._process is None:
            raise StackError("this Redis server is not running: call start() first")
        return self._process.pid

    def start(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Start the server; return when it answers.

        Raises:
            StackError: no server is installed, it exited, or it did not answer in time.
        """
        with ExitStack() as cleanup:
            scratch = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="modelane-redis-")))
            folder = self._folder or scratch
            folder.mkdir(parents=True, exist_ok=True)
            command = server_command(self.port, persistent=self._folder is not None)
            process = LoggedProcess("Redis", command, scratch / "redis.log", cwd=folder)
            cleanup.callback(process.kill)
            process.wait_until(lambda: redis_answers(self.url), what="answer", deadline_s=deadline_s)
            self._process, self._cleanup = process, cleanup.pop_all()

    def stop(self) -> None:
        """Stop the server after it has completed its append-only file. Do nothing if it is not running."""
        if self._process is not None:
            self._process.stop(STOP_DEADLINE_S)
        self.kill()

    def kill(self) -> None:
        """Stop the server with SIGKILL, as a crash would. Do nothing if it is not running."""
        self._process = None
        self._cleanup.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
