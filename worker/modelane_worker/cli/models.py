"""`modelane models`: what is in the store, and which version answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from modelane.errors import StoreError
from modelane_worker.cli import known_model, open_store
from modelane_worker.registry.card import Card
from modelane_worker.registry.store import Store


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of one model, or of one of its versions."""

    model: str
    version: str | None  #: the champion; None before the first promotion
    alias: str | None = None
    created: datetime | None = None
    metric: str | None = None  #: what the gate compares
    value: float | None = None
    previous: str | None = None
    size_bytes: int | None = None
    versions: int | None = None
    report: str | None = None  #: its path
    trouble: str | None = None  #: why less is known


@click.command()
@click.argument("model", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def models(model: str | None, as_json: bool) -> None:
    """Show the models in the store; with MODEL, each of its versions.

    \b
    Example:
        modelane models
        modelane models churn
        modelane models --json | jq -r '.[].version'
    """  # noqa: D301  # click wants a real backspace
    _, store = open_store()
    rows = [_model(store, name) for name in store.models()] if model is None else _versions(store, model)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    elif rows:
        _show(rows, one=model is not None)
    else:
        click.echo(f"no models in {store.root.absolute()}: modelane train, or MODELANE_STORE_URL", err=True)


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
    """Newest first."""
    aliases = store.aliases(known_model(store, model))
    names = {getattr(aliases, name): name for name in reversed(aliases.__struct_fields__)}
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
        report=str((store.home(row.model) / version / reports[0]).absolute()) if reports else None,
    )


def gate_metric(card: Card) -> str | None:
    """What its gate compares; else the first metric there is."""
    metric = card.evaluation.get("metric")
    return metric if metric in card.metrics else next(iter(card.metrics), None)


def _show(rows: list[Row], *, one: bool) -> None:
    from rich.console import Console  # noqa: PLC0415  # `modelane --help` need not load it
    from rich.table import Table  # noqa: PLC0415

    console, now = Console(highlight=False), datetime.now(UTC)
    if not console.is_terminal:
        console.width = 200  # a pipe has no edge
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("VERSION", "ALIAS") if one else ("MODEL", "CHAMPION"):
        grid.add_column(name, no_wrap=True)
    for name in ("AGE", "METRIC", "SIZE"):
        grid.add_column(name, justify="right", no_wrap=True)
    if not one:
        grid.add_column("PREVIOUS", no_wrap=True)
        grid.add_column("VERSIONS", justify="right")
    for row in rows:
        first = (row.version, row.alias) if one else (row.model, row.version)
        cells: list[Any] = [*first, _age(row, now), _metric(row), _size(row)]
        if not one:
            cells += [row.previous, row.versions]
        grid.add_row(*("-" if cell is None else str(cell) for cell in cells))
    console.print(grid)
    for row in rows:
        who = (row.version if one else row.model) or row.model
        if row.report:
            console.print(f"report of {who}: {row.report}", markup=False, soft_wrap=True)
        if row.trouble:
            console.print(f"{who}: {row.trouble}", markup=False, soft_wrap=True)


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
