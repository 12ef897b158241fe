"""`modelane models`: list the models in the store and their versions."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from modelane.cli.tables import print_table
from modelane.errors import StoreError
from modelane_worker.cli.store_arguments import find_model, open_store
from modelane_worker.registry.card import Card
from modelane_worker.registry.store import Store


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the output: a model with its champion, or one version of a model."""

    model: str
    version: str | None  #: None before the first promotion
    alias: str | None = None
    created: datetime | None = None
    metric: str | None = None  #: the one that the gate compares
    value: float | None = None
    previous: str | None = None
    size_bytes: int | None = None
    versions: int | None = None
    report: str | None = None  #: path of the report
    trouble: str | None = None  #: why the other fields are missing


@click.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def models(model: str | None, as_json: bool) -> None:
    """List the models in the store, or all versions of MODEL, newest first.

    The champion is the version that answers requests; the previous version is the one that a rollback
    returns to. METRIC is the one that the gate compares, measured on the version's own hold-out.

    \b
    Examples:
        modelane models
        modelane models churn
        modelane models --json | jq -r '.[].version'
    """  # noqa: D301  # click needs a real backspace
    _, store = open_store()
    rows = [_model(store, name) for name in store.models()] if model is None else _versions(store, model)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    elif rows:
        _print(rows, of_one_model=model is not None)
    else:
        click.echo(
            f"there are no models in {store.root.absolute()}: train one with `modelane train`, or set "
            "MODELANE_STORE_URL to another store",
            err=True,
        )


def _model(store: Store, model: str) -> Row:
    try:
        aliases = store.aliases(model)
        row = Row(
            model=model,
            version=aliases.champion,
            previous=aliases.previous,
            versions=len(store.versions(model)),
        )
        return row if aliases.champion is None else _described(store, row, aliases.champion)
    except StoreError as exc:
        return Row(model=model, version=None, trouble=str(exc))


def _versions(store: Store, model: str) -> list[Row]:
    aliases = store.aliases(find_model(store, model))
    names = {aliases.previous: "previous", aliases.champion: "champion"}
    return [
        _described(store, Row(model=model, version=version, alias=names.get(version)), version)
        for version in reversed(store.versions(model))
    ]


def _described(store: Store, row: Row, version: str) -> Row:
    try:
        card = store.card(row.model, version)
    except StoreError as exc:
        return msgspec.structs.replace(row, trouble=str(exc))
    metric = gate_metric(card)
    reports = [name for name in card.files if name.endswith(".html")]
    return msgspec.structs.replace(
        row,
        created=card.created,
        metric=metric,
        value=card.metrics.get(metric) if metric else None,
        size_bytes=sum(file.size_bytes for file in card.files.values()),
        report=str((store.model_folder(row.model) / version / reports[0]).absolute()) if reports else None,
    )


def gate_metric(card: Card) -> str | None:
    """Return the metric that the gate compared, or the first one if the card does not say."""
    metric = card.evaluation.get("metric")
    return metric if metric in card.metrics else next(iter(card.metrics), None)


def _print(rows: list[Row], *, of_one_model: bool) -> None:
    now = datetime.now(UTC)
    if of_one_model:
        table = [(row.version, row.alias, *_facts(row, now)) for row in rows]
        print_table(table, ("VERSION", "ALIAS", "AGE", "METRIC", "SIZE"), right={2, 3, 4})
    else:
        several = [(row.model, row.version, *_facts(row, now), row.previous, row.versions) for row in rows]
        headings = ("MODEL", "CHAMPION", "AGE", "METRIC", "SIZE", "PREVIOUS", "VERSIONS")
        print_table(several, headings, right={2, 3, 4, 6})
    for row in rows:
        name = (row.version if of_one_model else row.model) or row.model
        if row.report:
            click.echo(f"report of {name}: {row.report}")
        if row.trouble:
            click.echo(f"{name}: {row.trouble}")


def _facts(row: Row, now: datetime) -> tuple[str | None, str | None, str | None]:
    return _age(row, now), _metric(row), _size(row)


def _metric(row: Row) -> str | None:
    return None if row.value is None else f"{row.metric} {row.value:.4f}"


def _age(row: Row, now: datetime) -> str | None:
    if row.created is None:
        return None
    seconds = (now - row.created).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _size(row: Row) -> str | None:
    if row.size_bytes is None:
        return None
    mib = row.size_bytes / 2**20
    return f"{mib:.1f} MiB" if mib >= 1 else f"{row.size_bytes / 1024:.0f} KiB"
