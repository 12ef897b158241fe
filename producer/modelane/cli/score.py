"""`modelane score`: score the rows of a file and write the answers to another file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from modelane.cli import require
from modelane.cli.model_argument import ModelName
from modelane.local.signals import interrupts
from modelane.settings import Settings

_FILE = click.Path(path_type=Path, dir_okay=False)


# Apart from --quiet, every parameter is a field of modelane.bulk.job.Job.
@click.command()
@click.argument("model", type=ModelName())
@click.argument("source", metavar="IN", type=_FILE)
@click.argument("out", metavar="OUT", type=_FILE)
@click.option(
    "--keep",
    metavar="COLUMN",
    multiple=True,
    callback=lambda _context, _option, names: tuple(dict.fromkeys(names)),
    help="Copy this column of IN to OUT. May be given several times.",
)
@click.option("--method", default="predict", show_default=True, help="Method of the model to call.")
@click.option(
    "--version",
    metavar="VERSION",
    help="Version of the model. Default: the version in service when the run begins.",
)
@click.option(
    "--on-error",
    type=click.Choice(["stop", "column"]),
    default="stop",
    show_default=True,
    help="If a row cannot be scored: end the run, or write the reason to a column named error.",
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1, 1_000_000),
    default=4096,
    show_default=True,
    help="Rows per request.",
)
@click.option(
    "--window", type=click.IntRange(1, 1000), default=8, show_default=True, help="Requests in flight."
)
@click.option(
    "--priority",
    type=click.IntRange(0, 9),
    default=0,
    show_default=True,
    help="Priority of the requests: 0 is served first, 9 last.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer, or for Redis.",
)
@click.option("--restart", is_flag=True, help="Discard the results of an earlier, unfinished run.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def score(*, quiet: bool, **job: Any) -> None:
    """Score every row of the file IN with MODEL, and write the answers to the file OUT.

    The file names define the formats: .csv (with a header line), .parquet or .jsonl. IN and OUT may have
    different formats, and both may be larger than memory. The columns that the model needs are sent; other
    columns of IN are ignored. Row i of OUT answers row i of IN. Its columns are those of --keep, then
    `prediction`, or one column per class such as `predict_proba_yes`.

    OUT is written in one step at the end of the run. To resume a run that was interrupted or killed, give the
    same command again: the rows that it has scored are saved next to OUT, in OUT.partial. All rows are scored
    by the same version of the model.

    \b
    Example:
        modelane score churn customers.parquet scores.parquet --keep customer_id
        modelane score churn customers.csv scores.jsonl --method predict_proba --on-error column

    Needs pip install "modelane[bulk]". Exit codes: modelane --help.
    """  # noqa: D301  # click needs a backspace character
    require("pyarrow", extra="bulk", command="score")
    from modelane.bulk.job import Job  # noqa: PLC0415  # slow to import
    from modelane.bulk.progress import format_duration, open_display  # noqa: PLC0415
    from modelane.bulk.score_file import score_file  # noqa: PLC0415

    asked = Job(**job)
    with interrupts(), open_display(sys.stderr, quiet=quiet) as display:
        done = score_file(asked, Settings.from_env(os.environ), display)
    if quiet:
        return
    n_new = done.n_rows - done.n_resumed
    rate = f" ({n_new / done.took_s:,.0f} rows/s)" if n_new else ""
    click.echo(
        f"{asked.out}: {done.n_rows:,} rows scored by {asked.model} {done.version} "
        f"in {format_duration(done.took_s)}{rate}"
    )
    if done.n_resumed:
        click.echo(f"{done.n_resumed:,} of these rows were scored by an earlier run")
    if done.n_errors:
        click.echo(f"{done.n_errors:,} of these rows could not be scored: see the column error", err=True)
