"""`modelane init`: write a first recipe for a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelane.cli.tables import print_table, printable
from modelane.keys import check_model_name
from modelane.settings import Settings

if TYPE_CHECKING:
    from modelane_training.preparation.data_profile import ColumnProfile
    from modelane_training.scaffold.draft import Draft, Place

_URL_VARIABLE = "DATABASE_URL"
_MAX_COLUMNS = 40


@click.command()
@click.argument("model")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A CSV, Parquet or JSON Lines file, or a folder of such files.",
)
@click.option("--sql", "url", help=f"SQLAlchemy URL of a database; by default the value of {_URL_VARIABLE}.")
@click.option("--query", help="SQL query that returns the rows.")
@click.option("--target", required=True, help="Column to predict.")
@click.option(
    "--task", type=click.Choice(["classification", "regression"]), help="By default decided from the target."
)
@click.option("--force", is_flag=True, help="Overwrite an existing recipe.")
def init(  # noqa: PLR0913  # one for each option
    model: str,
    *,
    data: Path | None,
    url: str | None,
    query: str | None,
    target: str,
    task: str | None,
    force: bool,
) -> None:
    """Write a first recipe for a data set.

    Reads the data, prints what it found (columns and their kinds, task, metric, what is left out and why),
    and writes the recipe of MODEL to the recipes folder.

    \b
    Example:
        modelane init churn --data churn.csv --target left
        modelane init churn --sql sqlite:///crm.db --query "SELECT * FROM customers" --target left
    """  # noqa: D301  # click wants a real backspace: keep these lines as they are
    settings = Settings.from_env(os.environ)
    recipes = Path(settings.recipes)
    path = recipes / f"{check_model_name(model)}.py"
    if path.exists() and not force:
        raise click.ClickException(f"{path} exists already: use --force to overwrite it")
    # Imported here because `modelane --help` does not need scikit-learn.
    from modelane_training.scaffold.draft import draft  # noqa: PLC0415

    found = draft(model, _place(data, url, query, recipes), target, task)  # type: ignore[arg-type]
    _print_findings(found)
    recipes.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(found.code)
    except FileExistsError:
        raise click.ClickException(f"{path} exists already: use --force to overwrite it") from None
    except OSError as exc:
        raise click.ClickException(f"{path} cannot be written: {exc.strerror}") from exc
    click.echo(f"\nwrote {path}")
    if f'os.environ["{_URL_VARIABLE}"]' in found.code:
        click.echo(
            f"set {_URL_VARIABLE} to the URL of the database on trainers; the recipe does not contain it"
        )
    click.echo(f"next: modelane train {model}")


def _place(data: Path | None, url: str | None, query: str | None, recipes: Path) -> Place:
    from modelane_training.scaffold.draft import file_place, query_place  # noqa: PLC0415

    if (data is None) == (query is None):
        raise click.UsageError("give either --data FILE, or --query with --sql URL")
    if data is not None:
        if url is not None:
            raise click.UsageError("--sql needs --query, and cannot be used with --data")
        return file_place(data, recipes)
    assert query is not None
    known = url or os.environ.get(_URL_VARIABLE)
    if known is None:
        raise click.UsageError(f"--query needs --sql URL, or the variable {_URL_VARIABLE}")
    return query_place(known, query, from_environment=url is None)


def _print_findings(draft: Draft) -> None:
    profile, recipe = draft.prepared.profile, draft.prepared.recipe
    _print(f"{profile.n_rows:,} rows of {len(profile.columns)} columns from {profile.source}", *draft.notes)
    rows: list[tuple[str, ...]] = [
        (column.name, column.kind, _share(column.n_missing, profile.n_rows), _content(column))
        for column in profile.columns[:_MAX_COLUMNS]
    ]
    if (n_more := len(profile.columns) - _MAX_COLUMNS) > 0:
        rows.append((f"and {n_more} more", "", "", ""))
    print_table(rows, ("column", "kind", "missing", "content"))
    _print(*(f"left out: {name!r} {reason}" for name, reason in draft.left_out.items()))
    classes = ", ".join(
        f"{each.value} {each.count / profile.n_rows:.1%}" for each in profile.target.classes[:6]
    )
    _print(
        f"task: {recipe.task} of {recipe.target!r}" + (f" ({classes})" if classes else ""),
        f"metric: {recipe.metric}: {draft.metric_reason}",
        *(f"note: {message}" for message in profile.messages()),
    )


def _print(*lines: str) -> None:
    for line in lines:
        click.echo(printable(line))


def _share(n: int, n_rows: int) -> str:
    return f"{n / max(n_rows, 1):.1%}" if n else "-"


def _content(column: ColumnProfile) -> str:
    if column.top:
        return ", ".join(each.value[:20] for each in column.top[:4]) + (" …" if column.n_distinct > 4 else "")
    if column.mean_chars is not None:
        return f"{column.mean_chars:.0f} characters on average"
    if column.numbers is None:
        return f"{column.n_distinct:,} different values"
    low, high = column.numbers.min, column.numbers.max
    if column.kind == "date":
        import numpy as np  # noqa: PLC0415

        days = [str(np.datetime64(int(value), "s").astype("datetime64[D]")) for value in (low, high)]
        return f"{days[0]} to {days[1]}"
    return f"{low:g} to {high:g}"
