"""`modelane predict`: predictions for a few rows from the command line, a pipe or a CSV file."""

from __future__ import annotations

import os
from typing import Any

import click

from modelane.cli.model_argument import ModelName
from modelane.settings import Settings


@click.command()
@click.argument("model", type=ModelName())
@click.argument("rows", metavar="[ROWS]...", nargs=-1)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    help="Read rows from a CSV file with a header; - reads standard input.",
)
@click.option("--method", default="predict", show_default=True, help="Method of the model to call.")
@click.option("--version", help="Version that answers; by default the champion.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines: one object per row.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait for the answer.",
)
@click.option(
    "--ttl",
    "ttl_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Seconds after which no worker starts the request; by default the timeout.",
)
@click.option(
    "--priority", type=click.IntRange(0, 9), default=0, show_default=True, help="0 is served first, 9 last."
)
def predict(  # noqa: PLR0913  its options
    model: str,
    rows: tuple[str, ...],
    *,
    csv_file: str | None,
    method: str,
    version: str | None,
    as_json: bool,
    timeout_s: float,
    ttl_s: float | None,
    priority: int,
) -> None:
    """Predict rows, and print the answers.

    ROWS are JSON: a row `[1, 2]`, rows `[[1, 2], [3, 4]]`, a record `{"age": 41}`, or a list of records.
    Without ROWS, standard input is read as JSON or JSON Lines. From a CSV file only the columns that the
    model takes are sent; other columns are ignored.

    \b
    Example:
        modelane predict churn '{"age": 41, "visits": 3}'
        modelane predict churn --csv customers.csv --method predict_proba --json
        cat customers.jsonl | modelane predict churn

    Exit codes: see modelane --help.
    """  # noqa: D301  # click wants a real backspace
    from modelane.broker.connection import connect  # noqa: PLC0415
    from modelane.broker.served_models import served_model  # noqa: PLC0415
    from modelane.cli import output, row_input  # noqa: PLC0415
    from modelane.client import Client  # noqa: PLC0415

    if csv_file is not None and rows:
        raise click.UsageError("give either ROWS or --csv FILE, not both")
    settings = Settings.from_env(os.environ)
    asked: Any = row_input.from_json(rows, max_chars=settings.max_request_bytes) if csv_file is None else None
    with connect(settings) as server:
        served = served_model(server, settings.prefix, model)
    if csv_file is not None:
        asked = row_input.from_csv(csv_file, served, max_chars=settings.max_request_bytes)
    with Client(settings=settings) as client:
        answer = client.predict(
            model, asked, method=method, version=version, timeout_s=timeout_s, ttl_s=ttl_s, priority=priority
        )
    columns = output.columns(answer, served)
    if as_json:
        output.print_json(columns)
    else:
        output.print_answers(columns)
        click.echo(f"{answer.model} {answer.version}", err=True)
