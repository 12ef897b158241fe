"""CPU time of a worker whose ten lanes are idle."""

from __future__ import annotations

import time

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import Stage

LANES = 10
TARGET = 0.01
#: Seconds after the start that are not measured: imports, and the first reads of the model store.
SETTLE_S = 3.0


def measure(effort: Effort) -> Figure:
    seconds = effort.rounds * effort.seconds * 2
    names = [f"m{number}" for number in range(LANES)]
    with Stage(**{name: models.Free() for name in names}) as stage, ours.worker(stage) as process:
        with ours.client(stage, *names):
            pass
        effort.say(f"an idle worker with {LANES} lanes, for {seconds:g} s")
        time.sleep(SETTLE_S)
        before = process.cpu_times()
        time.sleep(seconds)
        after = process.cpu_times()
    share = (after.user - before.user + after.system - before.system) / seconds
    line = Line(
        what=f"CPU of an idle worker with {LANES} lanes",
        ours=f"{share:.2%} of a core",
        against="",
        result="",
        target=f"at most {TARGET:.0%}",
        met=share <= TARGET,
    )
    return Figure([line], {"share_of_a_core": share, "seconds": seconds})
