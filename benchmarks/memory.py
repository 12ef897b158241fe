"""Memory of a worker after a load, compared with a process that only loads the model."""

from __future__ import annotations

import subprocess
import sys

import psutil

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import ROOT, Stage
from modelane_worker.registry import artifact

TARGET_MB = 80.0

_BARE = """
import io, sys, joblib, sklearn
model = joblib.load(io.BytesIO(sys.stdin.buffer.read(int(sys.argv[1]))))
print("loaded", flush=True)
sys.stdin.buffer.read()
"""


def measure(effort: Effort) -> Figure:
    forest = models.forest()
    with Stage(forest=forest) as stage, ours.worker(stage) as process:
        effort.say("the memory of a worker after a load")
        with ours.client(stage, "forest") as client:
            ours.measure(client, "forest", in_flight=1024, seconds=effort.seconds)
        mine_mb = _own_mb(process)
        its_mb = _bare_mb(artifact.dump(forest))
    line = Line(
        what="memory of a worker (unshared pages)",
        ours=f"{mine_mb:.0f} MB",
        against=f"{its_mb:.0f} MB to import scikit-learn and load the model",
        result=f"{mine_mb - its_mb:+.0f} MB",
        target=f"at most {TARGET_MB:+g} MB",
        met=mine_mb - its_mb <= TARGET_MB,
    )
    return Figure([line], {"worker_mb": mine_mb, "bare_mb": its_mb})


def _bare_mb(content: bytes) -> float:
    command = [sys.executable, "-c", _BARE, str(len(content))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(content)
        process.stdin.flush()
        process.stdout.readline()
        found = _own_mb(psutil.Process(process.pid))
        process.stdin.close()
    return found


def _own_mb(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss / 1e6)
