"""Keep a run's processes together: they end when the trainer does, even one that was killed with -9.

    trainer → Popen(guarded(command)) → THIS FILE → the command, in the same process group

A recipe may start processes of its own (joblib, Dask), which would go on for hours if only their parent were
killed.  The trainer holds the other end of this program's standard input; when that closes, the whole group
ends.  Nothing is imported but the standard library, so that it costs little.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

_LOOK_MS = 200


def guarded(command: Sequence[str]) -> list[str]:
    """What to start instead of ``command``, as the leader of a process group, its input a pipe."""
    # -I and -S: no site-packages, so that nothing can shadow it.
    return [sys.executable, "-IS", __file__, *command]


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """All that it has started, and that is left of it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: not permitted once all are gone
        os.killpg(leader.pid, signal.SIGKILL)


def _main(*command: str) -> int:
    try:  # where memory runs out, the kernel shall end a run before it ends Redis or a trainer
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  pathlib takes 10 ms to import
            file.write("1000")
    except OSError:
        pass
    process = subprocess.Popen(command)
    trainer = select.poll()
    trainer.register(0, 0)  # nothing but its end
    while (code := process.poll()) is None:
        if trainer.poll(_LOOK_MS):
            os.killpg(0, signal.SIGKILL)
    return code if code >= 0 else 128 - code  # as shells say it


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
