"""A run in a process of its own, watched: heard, allowed to publish, and ended when it must not go on.

service → PROCESS → guard → child → retrain.  Whatever a recipe does (raise, loop, exit, crash, take all
memory) ends here as one sentence.
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
from modelane.settings import Settings
from modelane_training.trainer import memory_limit, run_protocol
from modelane_training.trainer.process_guard import end_group, guarded

if TYPE_CHECKING:  # a trainer needs no scikit-learn, the process of a run does
    from modelane_training.pipeline.run import Progress

#: Seconds between two looks at the time, the memory, and whether the run is still wanted.
LOOK_S = 0.25
#: Seconds between two tries to learn whether a run may publish, while Redis is away.
ASK_AGAIN_S = 0.5
#: Seconds that a run may take to publish what it has made, even if it is not wanted any more.
PUBLISH_S = 60.0

COMMAND = (sys.executable, "-X", "faulthandler", "-m", "modelane_training.trainer.run_child")


def run_apart(  # noqa: PLR0913  # what a run is watched by
    settings: Settings,
    order: run_protocol.Order,
    *,
    progress: Progress,
    may_publish: Callable[[], None],
    unwanted: Callable[[], Exception | None],
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Train in another process; what the caller is told.

    Args:
        settings: the process gets the same; its limits are held here.
        order: which model, as which run.
        progress: told each step, in this process.
        may_publish: asked before the store changes; raises if this run is another trainer's by now.  While it
            raises ``BrokerUnavailable`` it is asked again.
        unwanted: asked all the time until the run may publish; an exception ends the run and is raised.
        command: the program of the child; None: :data:`COMMAND`.

    Raises:
        RunEnded: it ended without a word, or by a limit; the sentence says how.
        TryLater: somebody killed it; that may have nothing to do with the recipe.
        ModelaneError: what the run itself said.
    """
    with subprocess.Popen(
        guarded(command or COMMAND),
        env={**os.environ, **settings.to_env()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        bufsize=0,
    ) as process:
        run = _Run(process, settings, progress, may_publish, unwanted)
        try:
            run.say(run_protocol.write(order))
            return run.follow()
        finally:
            end_group(process)


class _Run:
    def __init__(
        self,
        process: subprocess.Popen[bytes],
        settings: Settings,
        progress: Progress,
        may_publish: Callable[[], None],
        unwanted: Callable[[], Exception | None],
    ) -> None:
        self._process = process
        self._limit_s = settings.retrain_limit_s
        self._until_s = time.monotonic() + settings.retrain_limit_s
        self._limit_bytes = memory_limit.limit_bytes(settings.retrain_limit_mb)
        self._progress = progress
        self._may_publish = may_publish
        self._unwanted = unwanted
        self._asks_at_s: float | None = None  # when to ask whether it may publish; None: it does not want to
        self._publishes = False

    def say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended; what it said last comes now
            self._process.stdin.write(line)

    def follow(self) -> dict[str, Any]:
        """Until it has ended."""
        heard = b""
        while (piece := self._hear()) is None or piece:
            self._look()
            *lines, heard = (heard + (piece or b"")).split(b"\n")
            for said in map(_read, lines):
                match said:
                    case run_protocol.Step():
                        self._begin(said)
                    case run_protocol.Done():
                        return said.result
                    case run_protocol.Failed():
                        raise from_code(said.code, said.sentence)
            if len(heard) > run_protocol.MAX_LINE:
                raise RunEnded("the process of the run talks nonsense; its recipe must leave its pipes alone")
        raise _in_words(self._process.wait())

    def _hear(self) -> bytes | None:
        """What it says; nothing when it has ended, None if it is silent."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], LOOK_S)[0]:
            return None
        return os.read(self._process.stdout.fileno(), 65_536)

    def _begin(self, step: run_protocol.Step) -> None:
        self._progress(step.step, step.detail)
        if step.step in run_protocol.ASKING:
            self._asks_at_s = time.monotonic()
            self._ask()

    def _look(self) -> None:
        self._ask()
        reason = self._unwanted()  # asked while it publishes, too: that keeps its claim
        if reason is not None and not self._publishes:
            raise reason
        if time.monotonic() > self._until_s:
            raise RunEnded(
                f"the run took more than {self._limit_s:g} s and was ended: give its recipe a smaller "
                "budget, or raise MODELANE_RETRAIN_LIMIT_S"
            )
        used = memory_limit.used_bytes(self._process.pid)
        if used > self._limit_bytes:
            raise RunEnded(
                f"the run took {used >> 20} MiB of memory and was ended, {self._limit_bytes >> 20} are "
                "allowed: raise MODELANE_RETRAIN_LIMIT_MB, or train on less"
            )

    def _ask(self) -> None:
        if self._asks_at_s is None or time.monotonic() < self._asks_at_s:
            return
        try:
            self._may_publish()
        except BrokerUnavailable:
            self._asks_at_s = time.monotonic() + ASK_AGAIN_S
            return
        self._asks_at_s = None
        if not self._publishes:
            self._publishes = True  # from now on it ends by itself, within seconds
            self._until_s = max(self._until_s, time.monotonic() + PUBLISH_S)
        self.say(run_protocol.GO)


def _read(line: bytes) -> run_protocol.Said:
    try:
        return run_protocol.read(line)
    except msgspec.MsgspecError as exc:
        raise RunEnded(f"the process of the run talks nonsense: {exc}") from exc


def _in_words(code: int) -> RunEnded | TryLater:
    """Why a process ended that did not say so; killed with -9 it may be none of its own fault."""
    number = code - 128 if code > 128 else -code
    if number <= 0:
        return RunEnded(
            f"the process of the run ended with exit status {code}, without a word: its log says more"
        )
    try:
        name = signal.Signals(number).name
    except ValueError:
        return RunEnded(f"the process of the run ended with exit status {code}, without a word")
    if number == signal.SIGKILL:
        return TryLater(
            "the process of the run was killed (SIGKILL), as the kernel does where memory runs out"
        )
    return RunEnded(f"the process of the run crashed ({name}): its log says where")
