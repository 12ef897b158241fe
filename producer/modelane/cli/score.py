"""`modelane score`: a file through a model's lane, into another file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from modelane.cli import require
from modelane.cli.model_argument import ModelName
from modelane.local.signals import interrupts
from modelane.settings import Settings

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("model", type=ModelName())
@click.argument("source", metavar="IN", type=_FILE)
@click.argument("out", metavar="OUT", type=_FILE)
@click.option("--keep", metavar="COLUMN", multiple=True, help="Carry this column of IN along.  Repeatable.")
@click.option("--method", default="predict", show_default=True, help="What to ask of the model.")
@click.option("--version", help="Which version has to answer; by default the one in service now.")
@click.option(
    "--on-error",
    type=click.Choice(["stop", "column"]),
    default="stop",
    show_default=True,
    help="A row without an answer ends the run, or gets its reason in a column named error.",
)
@click.option(
    "--batch-rows", type=click.IntRange(1, 1_000_000), default=4096, show_default=True, help="Rows a request."
)
@click.option(
    "--window", type=click.IntRange(1, 1000), default=8, show_default=True, help="Requests in flight."
)
@click.option(
    "--priority", type=click.IntRange(0, 9), default=0, show_default=True, help="0 is served first, 9 last."
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
@click.option("--restart", is_flag=True, help="Forget what an earlier run has done.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def score(  # noqa: PLR0913  its options
    model: str,
    source: Path,
    out: Path,
    *,
    keep: tuple[str, ...],
    method: str,
    version: str | None,
    on_error: str,
    batch_rows: int,
    window: int,
    priority: int,
    timeout_s: float,
    restart: bool,
    quiet: bool,
) -> None:
    """Ask MODEL for every row of the file IN, and write its answers to the file OUT.

    The names tell the formats: .csv (with a header), .parquet, .jsonl; they may differ.  Neither file need
    fit into memory.  Of IN the columns that the model takes are sent, whatever else it has.  Row i of OUT
    answers row i of IN: the columns to keep, then `prediction`, or a column a class such as
    `predict_proba_yes`.

    OUT appears when it is whole; one that is there stays until then.  A run that was interrupted or killed
    goes on when the same command is given again: what is done lies beside OUT, in OUT.partial.  All rows
    are answered by one version, the one that was in service at the beginning.

    \b
    Example:
        modelane score churn customers.parquet scores.parquet --keep customer_id
        modelane score churn customers.csv scores.jsonl --method predict_proba --on-error column

    Needs pip install "modelane[bulk]".  Exit codes: modelane --help.
    """  # noqa: D301  # click wants a real backspace
    require("pyarrow", extra="bulk", command="score")
    from modelane.bulk.job import Job  # noqa: PLC0415
    from modelane.bulk.job import score as run  # noqa: PLC0415
    from modelane.bulk.progress import shown, spoken  # noqa: PLC0415

    job = Job(
        model=model,
        source=source,
        out=out,
        keep=tuple(dict.fromkeys(keep)),
        method=method,
        version=version,
        batch_rows=batch_rows,
        window=window,
        priority=priority,
        timeout_s=timeout_s,
        stop_at_errors=on_error == "stop",
        restart=restart,
    )
    with interrupts(), shown(sys.stderr, quiet=quiet) as show:
        done = run(job, Settings.from_env(os.environ), show)
    if quiet:
        return
    n_now = done.n_rows - done.n_before
    rate = f", {n_now / done.took_s:,.0f} a second" if n_now else ""
    click.echo(f"{out}: {done.n_rows:,} rows by {model} {done.version} in {spoken(done.took_s)}{rate}")
    if done.n_before:
        click.echo(f"{done.n_before:,} of them were done before")
    if done.n_errors:
        click.echo(f"{done.n_errors:,} of them without an answer: the column error says why", err=True)
