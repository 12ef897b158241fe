"""Size and import time of the base install, compared with Celery alone."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import ROOT

#: Imports of each package, alternating; the median counts. The first one compiles the byte code and is left
#: out.
IMPORTS_PER_ROUND = 3
#: Seconds that one step may take.
LIMIT_S = 300.0


def measure(effort: Effort) -> Figure:
    with tempfile.TemporaryDirectory(prefix="modelane-footprint-") as folder:
        effort.say("creating two virtual environments")
        mine = _environment(Path(folder, "modelane"), str(ROOT))
        its = _environment(Path(folder, "celery"), "celery[redis]")
        sizes_mb = {"modelane": _size_mb(mine), "celery": _size_mb(its)}
        imports = {
            "import modelane": (mine, "import modelane"),
            "a client": (mine, "from modelane import Client; Client()"),
            "import celery": (its, "import celery"),
            "an app": (its, "import celery; celery.Celery(broker='redis://').amqp"),
        }
        took_s: dict[str, list[float]] = {name: [] for name in imports}
        for _ in range(effort.rounds * IMPORTS_PER_ROUND + 1):
            for name, (environment, code) in imports.items():
                effort.say(name)
                took_s[name].append(_timed(environment, code) - _timed(environment, "pass"))
    ms = {name: statistics.median(each[1:]) * 1e3 for name, each in took_s.items()}
    lines = [
        _line(
            "installed size of the base install",
            f"{sizes_mb['modelane']:.0f} MB",
            f"{sizes_mb['celery']:.0f} MB for celery[redis]",
        ),
        _line(
            "import modelane",
            f"{ms['import modelane']:.0f} ms",
            f"{ms['import celery']:.0f} ms for import celery",
        ),
        _line(
            "import and create a client that can send",
            f"{ms['a client']:.0f} ms",
            f"{ms['an app']:.0f} ms for a Celery app",
        ),
    ]
    return Figure(lines, {"size_mb": sizes_mb, "import_ms": ms})


def _line(what: str, ours: str, against: str) -> Line:
    return Line(what=what, ours=ours, against=against, result="", target="", met=None)


def _environment(folder: Path, package: str) -> Path:
    """Create a virtual environment with a package and its dependencies only."""
    for command in (
        ["uv", "venv", "-q", "--python", sys.executable, str(folder)],
        ["uv", "pip", "install", "-q", "--python", str(folder), package],
    ):
        subprocess.run(command, timeout=LIMIT_S, check=True)
    return folder


def _size_mb(environment: Path) -> float:
    (packages,) = environment.glob("lib/python*/site-packages")
    files = (path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files) / 1e6


def _timed(environment: Path, code: str) -> float:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MODELANE_", "PYTHON"))}
    began_s = time.perf_counter()
    subprocess.run([environment / "bin/python", "-c", code], env=env, cwd="/", timeout=LIMIT_S, check=True)
    return time.perf_counter() - began_s
