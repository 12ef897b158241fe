"""Child processes that end when their parent ends, even if the parent is killed with SIGKILL.

There are two ways, for two kinds of children:

- :func:`die_with_parent` is for one program that manages its own children, such as a Celery worker. The
  program keeps the process id that ``Popen`` returns. Linux only: elsewhere the program may outlive its
  parent.
- :func:`group_dies_with_parent` is for code that may start any processes of its own, such as a recipe. A
  guard process watches a pipe and kills the whole process group when the parent's end closes.

Both run this file by path, in an isolated interpreter, so it imports nothing but the standard library.
Children start with the default handling of SIGINT and SIGTERM. They would otherwise inherit an ignored SIGINT
from a parent that a shell script started in the background, and could not be interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_GUARD = "guard"
#: Milliseconds between two checks whether the guarded command has ended.
_POLL_MS = 200


def die_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command that runs ``command`` and is killed when the thread that started it ends.

    Linux sends the signal that a process requested with ``PR_SET_PDEATHSIG`` when the thread that started the
    process ends, and keeps the request across ``exec``. ``preexec_fn`` could make the request between
    ``fork`` and ``exec``, but Python code can deadlock there in a program with threads.
    """
    if sys.platform != "linux":
        return list(command)
    return [*_this_file(), str(os.getpid()), *command]


def group_dies_with_parent(command: Sequence[str]) -> list[str]:
    """Return a command that runs ``command`` in a process group that is killed when standard input closes.

    Start it with ``stdin=PIPE`` and ``process_group=0``. ``command`` inherits both, so it may read its input
    from the same pipe. The exit code is the command's; 128 + N if signal N ended it.
    """
    return [*_this_file(), _GUARD, *command]


def kill_group(leader: int) -> None:
    """Kill all processes of the group whose leader has this process id. Do nothing if none is left."""
    with suppress(ProcessLookupError, PermissionError):  # macOS raises PermissionError once all have ended
        os.killpg(leader, signal.SIGKILL)


def _this_file() -> list[str]:
    # -I and -S skip site-packages: nothing there can shadow a module, and the start takes about 10 ms.
    return [sys.executable, "-IS", __file__]


def _exec(parent: int, command: tuple[str, ...]) -> None:
    import ctypes  # noqa: PLC0415  # only in the child

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the request
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606  # the command is the caller's own
    except OSError as exc:
        sys.exit(f"cannot run {command[0]}: {exc.strerror}")


def _guard(command: tuple[str, ...]) -> int:
    import select  # noqa: PLC0415  # only in the child
    import subprocess  # noqa: PLC0415

    try:  # when memory runs out, the kernel should kill this group before Redis or a trainer
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  # importing pathlib takes 10 ms
            file.write("1000")
    except OSError:
        pass
    process = subprocess.Popen(command)
    parent = select.poll()
    parent.register(0, 0)  # no events but hang-up, which poll always reports
    while (code := process.poll()) is None:
        if parent.poll(_POLL_MS):
            os.killpg(0, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _main(mode: str, *command: str) -> None:
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, signal.SIG_DFL)
    if mode == _GUARD:
        sys.exit(_guard(command))
    _exec(int(mode), command)


if __name__ == "__main__":
    _main(*sys.argv[1:])
