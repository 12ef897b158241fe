"""Run a command that dies with its parent, even when the parent is killed with -9.

    a thread → Popen(tethered(command)) → THIS FILE, for a few milliseconds → exec command

Linux sends a process the signal that it asked for (``PR_SET_PDEATHSIG``) when the thread that
started it ends, and keeps the request across ``exec``.  It has to be asked for inside the child;
``preexec_fn`` would do that between ``fork`` and ``exec``, where Python code can deadlock in a
threaded program.  So this file is run by path, with nothing imported but the standard library.
On other systems the command is run as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def tethered(command: Sequence[str]) -> list[str]:
    """What to start instead of ``command``, from the thread whose end shall be its end too."""
    if sys.platform != "linux":
        return list(command)
    # -I and -S: no site-packages, so that this step costs about 10 ms and nothing can shadow it.
    return [sys.executable, "-IS", __file__, str(os.getpid()), *command]


def _main(parent: str, *command: str) -> None:
    import ctypes  # noqa: PLC0415  # only in the child

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before we asked
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606  # the command is the caller's own
    except OSError as exc:
        sys.exit(f"cannot run {command[0]}: {exc.strerror}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
