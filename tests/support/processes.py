"""Programs that tests start: their output, signals, and a check that no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from modelane.local.die_with_parent import die_with_parent
from support.waiting import DEADLINE_S, eventually

TESTS = Path(__file__).parents[1]


class Program:
    """A running program whose output goes to a file; it ends when the tests end."""

    def __init__(
        self, command: Sequence[str | Path], log: Path, env: Mapping[str, str] = {}, **popen: object
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                die_with_parent([str(word) for word in command]),
                env={**os.environ, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                **popen,
            )

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def send(self, how: signal.Signals) -> None:
        if self.runs:
            self._process.send_signal(how)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._process.wait(DEADLINE_S)

    def end(self) -> int:
        """Send SIGTERM, wait for the warm shutdown, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until the program exits by itself; return its exit code."""
        return self._process.wait(DEADLINE_S)


class Process(Program):
    """A Celery worker of one of Modelane's packages, with the test modules on its path."""

    def __init__(self, package: str, name: str, env: Mapping[str, str], log: Path, *args: str) -> None:
        self.name = name
        command = [sys.executable, "-m", "celery", "-A", package, "worker", "-n", name, *args]
        super().__init__(command, log, {"PYTHONPATH": str(TESTS)} | env)


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, env: Mapping[str, str] = {}, **popen: object
) -> Iterator[Program]:
    """Run a program, and stop it at the end."""
    program = Program(command, log, env, **popen)
    try:
        yield program
    finally:
        program.end()


def descendants(pid: int) -> dict[int, str]:
    """Return the id and command of each process that ``pid`` has started, directly or not."""
    return {child.pid: " ".join(child.cmdline()) for child in psutil.Process(pid).children(recursive=True)}


def assert_gone(pid: int) -> None:
    """Wait until a process has ended; a zombie counts as ended."""
    eventually(lambda: not is_running(pid), f"the end of process {pid}", 20.0)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
