"""Keep named programs running on this machine: start them, forward their output, restart them, stop them.

Each program is a :class:`Child` with two threads: one starts the program and waits for it, the other reads
its output and writes it to :class:`modelane.local.log_output.Output`. This module does not know what the
programs are; :mod:`modelane.local.stack` does.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelane.local.die_with_parent import die_with_parent, kill_group
from modelane.local.log_output import Output
from modelane.local.logged_process import describe_exit

#: Seconds before a program is restarted for the first time. Each further restart doubles the pause.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

#: After a program has run for this many seconds, the pause before its next restart is the first one again.
STEADY_S = 60.0

#: Lines of each program's output that are kept for error messages.
REMEMBERED_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None  #: None: the environment of this process
    cwd: Path | None = None  #: None: the working directory of this process


class Supervisor:
    """Runs programs by name, each in its own process group. All of them end when this process ends.

    Args:
        output: receives the lines of all programs.
        name: the name before the supervisor's own lines.
        first_pause_s: see :data:`FIRST_PAUSE_S`.
    """

    def __init__(
        self, output: Output, *, name: str = "modelane", first_pause_s: float = FIRST_PAUSE_S
    ) -> None:
        self._output = output
        self._name = name
        self._first_pause_s = first_pause_s
        self._children: dict[str, Child] = {}

    def start(self, program: Program) -> Child:
        child = Child(program, self._output, self._report, self._first_pause_s)
        self._children[program.name] = child
        return child

    def stop(self, *names: str, deadline_s: float) -> None:
        """Send SIGTERM to all named programs together; after ``deadline_s`` seconds kill those still running.

        Names of programs that were never started are ignored.
        """
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.signal(signal.SIGTERM)
        give_up_at = time.monotonic() + deadline_s
        for child in children:
            if not child.wait(max(0.0, give_up_at - time.monotonic())):
                self._report(f"{child.name} did not stop within {deadline_s:g} s: killing it")
                child.signal(signal.SIGKILL)
                child.wait()

    def kill(self) -> None:
        """Kill all programs and their children."""
        for child in self._children.values():
            child.signal(signal.SIGKILL)
        for child in self._children.values():
            child.wait()

    def _report(self, text: str) -> None:
        self._output.line(self._name, text)


class Child:
    """One program, which is restarted whenever it exits by itself.

    Attributes:
        n_exits: how often it exited, or could not be started, without a request to stop.
        last_lines: the last lines of its output, oldest first.
    """

    def __init__(
        self, program: Program, output: Output, report: Callable[[str], None], first_pause_s: float
    ) -> None:
        self.n_exits = 0
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._program = program
        self._output = output
        self._report = report
        self._first_pause_s = first_pause_s
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()  # so that no process is started after a request to stop
        self._keeper = threading.Thread(target=self._keep, name=f"keep {program.name}", daemon=True)
        self._keeper.start()

    @property
    def name(self) -> str:
        return self._program.name

    def signal(self, how: signal.Signals) -> None:
        """Stop the program for good. SIGKILL goes to its process group, any other signal to itself."""
        with self._starting:
            self._stopping.set()
            if self._process is None or self._process.poll() is not None:
                return
            if how is signal.SIGKILL:
                kill_group(self._process.pid)
            else:
                # Only the program itself: it stops its own children in the right order.
                self._process.send_signal(how)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the program has stopped for good; return False after ``timeout_s`` seconds."""
        self._keeper.join(timeout_s)
        return not self._keeper.is_alive()

    def _keep(self) -> None:
        # This thread also starts the program: the program dies with its thread, see
        # modelane.local.die_with_parent.
        pause_s = self._first_pause_s
        while True:
            started_s = time.monotonic()
            try:
                if (process := self._start()) is None:
                    return
            except OSError as exc:
                what = f"cannot be started ({exc})"
            else:
                what = describe_exit(self._run(process))
            if self._stopping.is_set():
                return
            self.n_exits += 1
            if time.monotonic() - started_s >= STEADY_S:
                pause_s = self._first_pause_s
            self._report(f"{self.name} {what}; restarting it in {pause_s:g} s")
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _start(self) -> subprocess.Popen[str] | None:
        with self._starting:
            if self._stopping.is_set():
                return None
            self._process = subprocess.Popen(
                die_with_parent(self._program.command),
                env=self._program.env,
                cwd=self._program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                process_group=0,  # Ctrl-C in the terminal reaches this process only
            )
            return self._process

    def _run(self, process: subprocess.Popen[str]) -> int:
        """Forward the program's output until it exits; return the exit code."""
        reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        reader.start()
        code = process.wait()
        kill_group(process.pid)  # children that it left behind could keep ports and the output pipe open
        reader.join(timeout=1)
        return code

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            text = line.rstrip()
            self.last_lines.append(text)
            self._output.line(self.name, text)
