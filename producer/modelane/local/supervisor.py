"""Keep named programs running on this machine: start, echo, restart, stop.

    Program → Child (one thread keeps it, one reads it) → Output (one writer)

Knows nothing of what the programs are; that is :mod:`modelane.local.stack`.
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

#: Seconds that a program stays down after it died once; doubled each time that it dies again.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

#: A program that ran this long, in seconds, was well: its next pause is the first one again.
STEADY_S = 60.0

#: Lines of each program that are remembered, to be told when it fails.
REMEMBERED_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None  #: None: this process's own
    cwd: Path | None = None  #: None: this process's own


class Supervisor:
    """Programs by name, each in its own process group; all end with this process, however it ends.

    Args:
        name: under which it speaks itself.
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
        child = Child(program, self._output, self._say, self._first_pause_s)
        self._children[program.name] = child
        return child

    def stop(self, *names: str, deadline_s: float) -> None:
        """Ask the programs to end, all at once; after ``deadline_s`` seconds end what is left.

        Names that were never started are passed over.
        """
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.signal(signal.SIGTERM)
        give_up_at = time.monotonic() + deadline_s
        for child in children:
            if not child.ended(max(0.0, give_up_at - time.monotonic())):
                self._say(f"{child.name} does not end within {deadline_s:g} s: killed")
                child.signal(signal.SIGKILL)
                child.ended()

    def kill(self) -> None:
        """End everything now."""
        for child in self._children.values():
            child.signal(signal.SIGKILL)
        for child in self._children.values():
            child.ended()

    def _say(self, text: str) -> None:
        self._output.line(self._name, text)


class Child:
    """One program, started again whenever it ends by itself.

    Attributes:
        deaths: how often it ended unasked.
        last_lines: what it said last, oldest first.
    """

    def __init__(
        self, program: Program, output: Output, say: Callable[[str], None], first_pause_s: float
    ) -> None:
        self.deaths = 0
        self.last_lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._program = program
        self._output = output
        self._say = say
        self._first_pause_s = first_pause_s
        self._asked_to_end = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()  # so that nothing is started after it was asked to end
        self._keeper = threading.Thread(target=self._keep, name=f"keep {program.name}", daemon=True)
        self._keeper.start()

    @property
    def name(self) -> str:
        return self._program.name

    def signal(self, how: signal.Signals) -> None:
        """Ask the program (SIGTERM) or force its whole group (SIGKILL) to end, for good."""
        with self._starting:
            self._asked_to_end.set()
            if self._process is None or self._process.poll() is not None:
                return
            if how is signal.SIGKILL:
                kill_group(self._process.pid)
            else:
                # The program alone: its children are its own to stop in good order.
                self._process.send_signal(how)

    def ended(self, timeout_s: float | None = None) -> bool:
        """Wait until it ended for good; False if it did not within ``timeout_s`` seconds."""
        self._keeper.join(timeout_s)
        return not self._keeper.is_alive()

    def _keep(self) -> None:
        # Starts the program in the very thread that waits for it: see modelane.local.die_with_parent.
        pause_s = self._first_pause_s
        while True:
            started_s = time.monotonic()
            try:
                if (process := self._start()) is None:
                    return
            except OSError as exc:
                why = f"cannot be started ({exc})"
            else:
                why = f"ended ({_in_words(self._run(process))})"
            if self._asked_to_end.is_set():
                return
            self.deaths += 1
            if time.monotonic() - started_s >= STEADY_S:
                pause_s = self._first_pause_s
            self._say(f"{self.name} {why}; starts again in {pause_s:g} s")
            self._asked_to_end.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _start(self) -> subprocess.Popen[str] | None:
        with self._starting:
            if self._asked_to_end.is_set():
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
                process_group=0,  # Ctrl-C in the terminal reaches us alone
            )
            return self._process

    def _run(self, process: subprocess.Popen[str]) -> int:
        """Echo what it says until it ends; its exit code."""
        reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        reader.start()
        code = process.wait()
        kill_group(process.pid)  # what it left behind must not hold ports or its output
        reader.join(timeout=1)
        return code

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            text = line.rstrip()
            self.last_lines.append(text)
            self._output.line(self.name, text)


def _in_words(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
