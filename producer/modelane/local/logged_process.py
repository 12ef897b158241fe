"""Start a program in the background, write its output to a log file, and wait until it is ready.

Used for a Redis server, for the worker of ``modelane_worker.testing.Stack``, and by tests and benchmarks.
Programs that must be restarted when they end belong to :mod:`modelane.local.supervisor`.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modelane.errors import StackError
from modelane.local.die_with_parent import die_with_parent

_POLL_S = 0.02
_QUOTED_LINES = 15


def wait_until(
    is_ready: Callable[[], bool],
    *,
    deadline_s: float,
    check: Callable[[], object] = lambda: None,
    poll_s: float = _POLL_S,
) -> bool:
    """Poll until ``is_ready()`` is true; return False if it is not within ``deadline_s`` seconds.

    Args:
        is_ready: called every ``poll_s`` seconds.
        deadline_s: seconds.
        check: called before each pause; raises when waiting longer is pointless.
        poll_s: seconds between two polls.
    """
    give_up_at = time.monotonic() + deadline_s
    while not is_ready():
        check()
        if time.monotonic() > give_up_at:
            return False
        time.sleep(poll_s)
    return True


class LoggedProcess:
    """A running program in its own process group, so that Ctrl-C in the terminal does not reach it.

    It is killed when the thread that started it ends; see :mod:`modelane.local.die_with_parent`.

    Args:
        name: used in error messages.
        command: the program and its arguments.
        log: file to which its output is appended.
        env: its whole environment; None: the environment of this process.
        cwd: its working directory; None: that of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                die_with_parent(command),
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything in the log file."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, is_ready: Callable[[], bool], *, what: str, deadline_s: float) -> None:
        """Return when ``is_ready()`` is true.

        Args:
            is_ready: called many times a second.
            what: what the program is expected to do, for the error message, such as ``"answer"``.
            deadline_s: seconds.

        Raises:
            StackError: the program exited, or was not ready in time. The message ends with the last lines of
                its log.
        """
        if not wait_until(is_ready, deadline_s=deadline_s, check=self._check_running):
            raise StackError(f"{self.name} did not {what} within {deadline_s:g} s{self._last_lines()}")

    def send_signal(self, which: signal.Signals) -> None:
        """Send a signal. Do nothing if the program has exited."""
        self._process.send_signal(which)

    def stop(self, deadline_s: float) -> int:
        """Send SIGTERM, and SIGKILL after ``deadline_s`` seconds; return the exit code."""
        self.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL; return the exit code."""
        self.send_signal(signal.SIGKILL)
        return self._process.wait()

    def _check_running(self) -> None:
        if (code := self._process.poll()) is not None:
            raise StackError(f"{self.name} {describe_exit(code)}{self._last_lines()}")

    def _last_lines(self) -> str:
        return quoted(self.output.splitlines()[-_QUOTED_LINES:])


def quoted(log_lines: Sequence[str]) -> str:
    """Return the end of an error message that shows the last lines of a program's log."""
    if not log_lines:
        return "; it wrote nothing to its log"
    return "; the last lines of its log:" + "".join(f"\n  {line}" for line in log_lines)


def describe_exit(code: int) -> str:
    """Return a phrase such as ``exited with code 3`` or ``was killed by SIGKILL``.

    Args:
        code: an exit code, or the negative number of a signal, as :mod:`subprocess` reports it.
    """
    return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
