"""Execute a run in a process of its own, and supervise it.

Called by the run executor, the search helper and `modelane train`. Starts
:mod:`modelane_training.trainer.run_child`, forwards its progress, decides when it may publish, and stops it
when it exceeds a limit or is no longer wanted. If the recipe raises, hangs, exits, crashes or uses all
memory, the caller gets one error that says so.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from modelane.errors import BrokerUnavailable, RunEnded, TryLater, from_code
from modelane.local.die_with_parent import group_dies_with_parent, kill_group
from modelane.settings import Settings
from modelane_training.trainer import memory_limit, run_protocol

if TYPE_CHECKING:  # only the process of the run loads scikit-learn
    from modelane_training.search.trials import Progress

#: Seconds between two checks of the time, the memory, and whether the run is still wanted.
CHECK_S = 0.25
#: Seconds between two attempts to ask whether a run may publish, while Redis does not answer.
RETRY_S = 0.5
#: Seconds that a run may take to publish, even if its time limit has passed.
PUBLISH_S = 60.0

COMMAND = (sys.executable, "-X", "faulthandler", "-m", "modelane_training.trainer.run_child")


def run_in_subprocess(  # noqa: PLR0913  # what a run is supervised by
    settings: Settings,
    order: run_protocol.RunOrder,
    *,
    progress: Progress,
    may_publish: Callable[[], None],
    stop_reason: Callable[[], Exception | None],
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Execute a run in a new process group and return its result.

    Args:
        settings: also passed to the process; its limits are enforced here.
        order: which model to train, as which run.
        progress: called in this process for each step.
        may_publish: called before the run changes the store. It raises an error if another trainer has taken
            over the run. If it raises ``BrokerUnavailable``, it is called again later.
        stop_reason: called regularly. If it returns an exception before the run may publish, the run is
            stopped and the exception is raised. Afterwards it is still called, and its value is ignored.
        command: the program of the process; None means :data:`COMMAND`.

    Raises:
        RunEnded: the process ended without a result, or exceeded a limit.
        TryLater: the process was killed from outside, which may not be the recipe's fault.
        ModelaneError: the error with which the run failed.
    """
    with subprocess.Popen(
        group_dies_with_parent(command or COMMAND),
        env={**os.environ, **settings.to_env()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        bufsize=0,
    ) as process:
        run = _RunProcess(process, settings, progress, may_publish, stop_reason)
        try:
            run.send(run_protocol.write(order))
            return run.wait()
        finally:
            kill_group(process.pid)


class _RunProcess:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        settings: Settings,
        progress: Progress,
        may_publish: Callable[[], None],
        stop_reason: Callable[[], Exception | None],
    ) -> None:
        self._process = process
        self._limit_s = settings.retrain_limit_s
        self._until_s = time.monotonic() + settings.retrain_limit_s
        self._limit_bytes = memory_limit.limit_bytes(settings.retrain_limit_mb)
        self._progress = progress
        self._may_publish = may_publish
        self._stop_reason = stop_reason
        self._ask_at_s: float | None = None  # when to ask for permission to publish; None: not requested
        self._publishing = False

    def send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the process has ended; its last messages can still be read
            self._process.stdin.write(line)

    def wait(self) -> dict[str, Any]:
        """Read messages until the run has ended, and return its result."""
        buffer = b""
        while (piece := self._read()) is None or piece:
            self._check()
            *lines, buffer = (buffer + (piece or b"")).split(b"\n")
            for message in map(_decode, lines):
                match message:
                    case run_protocol.Step():
                        self._on_step(message)
                    case run_protocol.Done():
                        return message.result
                    case run_protocol.Failed():
                        raise from_code(message.code, message.sentence)
            if len(buffer) > run_protocol.MAX_LINE:
                raise _invalid(f"a line of more than {run_protocol.MAX_LINE:,} bytes")
        raise _exit_error(self._process.wait())

    def _read(self) -> bytes | None:
        """Return what the process has written: empty after its end, None if it wrote nothing for a while."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], CHECK_S)[0]:
            return None
        return os.read(self._process.stdout.fileno(), 65_536)

    def _on_step(self, step: run_protocol.Step) -> None:
        self._progress(step.step, step.detail)
        if step.step in run_protocol.NEEDS_PERMISSION:
            self._ask_at_s = time.monotonic()
            self._ask()

    def _check(self) -> None:
        """Stop the run if it exceeds a limit or is no longer wanted."""
        self._ask()
        reason = self._stop_reason()  # also while it publishes: this call renews the claim of the run
        if reason is not None and not self._publishing:
            raise reason
        if time.monotonic() > self._until_s:
            raise RunEnded(
                f"the run exceeded the time limit of {self._limit_s:g} s and was stopped: "
                "reduce the budget of its recipe, or raise MODELANE_RETRAIN_LIMIT_S"
            )
        used = memory_limit.used_bytes(self._process.pid)
        if used > self._limit_bytes:
            raise RunEnded(
                f"the run used {used >> 20} MiB of memory, more than the limit of "
                f"{self._limit_bytes >> 20} MiB, and was stopped: "
                "train on less data, or raise MODELANE_RETRAIN_LIMIT_MB"
            )

    def _ask(self) -> None:
        """Let the run publish if it has requested it and this trainer still holds its claim."""
        if self._ask_at_s is None or time.monotonic() < self._ask_at_s:
            return
        try:
            self._may_publish()
        except BrokerUnavailable:
            self._ask_at_s = time.monotonic() + RETRY_S
            return
        self._ask_at_s = None
        if not self._publishing:
            self._publishing = True
            self._until_s = max(self._until_s, time.monotonic() + PUBLISH_S)
        self.send(run_protocol.GO)


def _decode(line: bytes) -> run_protocol.Message:
    try:
        return run_protocol.read(line)
    except msgspec.MsgspecError as exc:
        raise _invalid(str(exc)) from exc


def _invalid(what: str) -> RunEnded:
    return RunEnded(
        f"the process of the run sent an invalid message ({what}): "
        "the recipe must not write to the pipe between the run and its trainer"
    )


def _exit_error(code: int) -> RunEnded | TryLater:
    """Return the error for a process that ended without a result."""
    number = code - 128 if code > 128 else -code
    if number <= 0:
        return RunEnded(
            f"the process of the run exited with status {code} and reported no result: "
            "see its output in the log for the reason"
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        return RunEnded(f"the process of the run exited with status {code} and reported no result")
    if number == signal.SIGKILL:
        return TryLater(
            "the process of the run was killed (SIGKILL): the kernel does this when memory runs out"
        )
    return RunEnded(f"the process of the run crashed ({name}): see the traceback in the log")
