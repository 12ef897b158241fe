"""`modelane score` on a Parquet file of five million rows: killed once, resumed, and compared.

The memory of the process must not grow with the file, and every answer must equal the prediction of the model
in this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression

from benchmarks import models, ours
from benchmarks.figure import Effort, Figure, Line
from benchmarks.stage import ROOT, Stage
from modelane.local.die_with_parent import die_with_parent

ROWS = 5_000_000
QUICK_ROWS = 500_000
GROUP_ROWS = 250_000
COLUMNS = 10

#: Megabytes of the process, for a file of any size. About 100 are imports and 64 the client's resend buffer;
#: the rest are the batches in flight and pyarrow's buffers.
TARGET_MB = 300.0

#: Longest run in seconds, on a busy machine.
LIMIT_S = 900.0

_COMMAND = (
    "from modelane.bulk import checkpoints; checkpoints.PART_S = {part_s}; "
    "from modelane.cli import main; main()"
)


def measure(effort: Effort) -> Figure:
    quick = effort.rounds == 1
    n_rows, part_s = (QUICK_ROWS, 0.2) if quick else (ROWS, 5.0)
    model = _model()
    with Stage(linear=model) as stage, ours.worker(stage):
        effort.say(f"writing a file of {n_rows:,} rows")
        source, out = stage.folder / "in.parquet", stage.folder / "out.parquet"
        _write(source, n_rows)
        with ours.client(stage) as client:
            client.predict("linear", np.zeros((1, COLUMNS)), method=models.METHOD, timeout_s=LIMIT_S)
        command = [
            *(sys.executable, "-c", _COMMAND.format(part_s=part_s), "score", "linear", str(source), str(out)),
            *("--keep", "id", "--method", models.METHOD, "--quiet"),
        ]
        env = os.environ | stage.settings.to_env()
        effort.say("running modelane score until it is killed")
        killed_mb, _ = _run(command, env, until=lambda: _n_done(out) > n_rows / 4)
        n_before = _n_done(out)
        effort.say(f"resuming modelane score after {n_before:,} rows")
        resumed_mb, took_s = _run(command, env, until=lambda: False)
        effort.say("comparing the answers")
        n_equal = _n_equal(source, out, model)
    return _figure(n_rows, n_before, took_s, max(killed_mb, resumed_mb), n_equal)


def _figure(n_rows: int, n_before: int, took_s: float, peak_mb: float, n_equal: int) -> Figure:
    per_s = (n_rows - n_before) / took_s
    lines = [
        Line(
            what=f"modelane score, {n_rows:,} rows of {COLUMNS} numbers, killed after {n_before:,}",
            ours=f"{n_equal:,} rows",
            against=f"{n_rows:,} predicted in process",
            result="equal" if n_equal == n_rows else "not equal",
            target="all rows in order, equal to the last bit",
            met=0 < n_before < n_rows == n_equal,
        ),
        Line(
            what="peak memory of its process",
            ours=f"{peak_mb:.0f} MB",
            against=f"{n_rows * (COLUMNS + 1) * 8 / 1e6:.0f} MB of values in the file",
            result=f"{peak_mb:.0f} MB",
            target=f"at most {TARGET_MB:g} MB",
            met=peak_mb <= TARGET_MB,
        ),
        Line(
            what="rows per second, including start and end of the program",
            ours=f"{per_s:,.0f}",
            against="-",
            result=f"{took_s:.1f} s",
            target="-",
            met=None,
        ),
    ]
    counts = {"rows": n_rows, "killed_after": n_before, "equal": n_equal}
    return Figure(lines, counts | {"peak_mb": peak_mb, "rows_per_s": per_s})


def _model() -> LogisticRegression:
    """Return a model that costs almost nothing, so that the transport of the rows is measured."""
    rows = np.random.default_rng(0).normal(size=(1000, COLUMNS))
    return LogisticRegression().fit(rows, rows.sum(axis=1) > 0)


def _write(path: Path, n_rows: int) -> None:
    """Write a file with an id and the columns, one row group at a time."""
    generator = np.random.default_rng(1)
    names = ["id", *(f"x{number}" for number in range(COLUMNS))]
    schema = pa.schema([(name, pa.float64() if name != "id" else pa.int64()) for name in names])
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n_rows, GROUP_ROWS):
            n = min(GROUP_ROWS, n_rows - first)
            columns = [np.arange(first, first + n), *generator.normal(size=(COLUMNS, n))]
            writer.write_table(pa.table(columns, schema=schema))


def _run(command: list[str], env: dict[str, str], until: Callable[[], bool]) -> tuple[float, float]:
    """Run a program until it ends or is killed ``until``; return its peak megabytes and its seconds."""
    began_s, peak_mb, ended = time.monotonic(), 0.0, False
    with subprocess.Popen(die_with_parent(command), cwd=ROOT, env=env) as process:
        while process.poll() is None:
            peak_mb = max(peak_mb, _peak_mb(process.pid))
            if time.monotonic() - began_s > LIMIT_S:
                process.kill()
                raise RuntimeError(f"modelane score did not finish within {LIMIT_S:g} s")
            if until():
                ended = True
                process.kill()
            time.sleep(0.02)
    if process.returncode and not ended:
        raise RuntimeError(f"modelane score failed with exit code {process.returncode}")
    return peak_mb, time.monotonic() - began_s


def _peak_mb(pid: int) -> float:
    """Return the peak memory of a process so far; 0 if it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0].split()[1]) / 1e3 if found else 0.0


def _n_done(out: Path) -> int:
    """Return the number of rows in finished parts."""
    return sum(int(part.stem.split("-")[1]) for part in Path(f"{out}.partial").glob("*.arrow"))


def _n_equal(source: Path, out: Path, model: LogisticRegression) -> int:
    """Return the number of rows with the right id and the prediction of the model in this process."""
    n_equal = 0
    for rows, answers in zip(_groups(source), _groups(out), strict=True):
        matrix = np.column_stack([rows[f"x{number}"].to_numpy() for number in range(COLUMNS)])
        found = np.column_stack([answers[f"{models.METHOD}_{name}"].to_numpy() for name in (0, 1)])
        right = (found == model.predict_proba(matrix)).all(axis=1)
        n_equal += int((right & (answers["id"].to_numpy() == rows["id"].to_numpy())).sum())
    return n_equal


def _groups(path: Path) -> Iterator[pa.RecordBatch]:
    return pq.ParquetFile(path).iter_batches(GROUP_ROWS)
