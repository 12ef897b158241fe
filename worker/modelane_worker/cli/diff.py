"""`modelane diff`: what two versions of a model have in common, and what not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import msgspec

from modelane_worker.cli import known_model, known_version, open_store
from modelane_worker.registry.card import Card
from modelane_worker.registry.store import Store


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of two versions."""

    section: str
    name: str
    a: str | None  #: None if it has none
    b: str | None

    @property
    def same(self) -> bool:
        return self.a == self.b


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL] [A] [B]")
@click.option("--all", "show_all", is_flag=True, help="Show what is equal, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def diff(names: tuple[str, ...], show_all: bool, as_json: bool) -> None:
    """Compare two versions of a model: metrics, features, parameters, data, libraries.

    A and B are versions, their beginning or end, or an alias of MODEL; without them the previous champion and
    the one that answers now. Ids alone tell the model, too. Metrics are always shown, with their intervals:
    each version's own, on the hold-out that it was judged by.

    \b
    Example:
        modelane diff churn
        modelane diff churn 1a2b3c4d
        modelane diff 20261122T113000-1a2b3c4d 20261123T030000-5e6f7a8b
        modelane diff churn previous champion --json
    """  # noqa: D301  # click wants a real backspace
    _, store = open_store()
    model, *versions = _chosen(store, names)
    cards = [store.card(model, version) for version in versions]
    lines = list(compare(*cards))
    if as_json:
        told = {"model": model, "a": versions[0], "b": versions[1], "lines": lines}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    _show(versions, [line for line in lines if show_all or not line.same or line.section == "metrics"])


def _chosen(store: Store, names: tuple[str, ...]) -> tuple[str, str, str]:
    """The model, and which versions of it."""
    if not 1 <= len(names) <= 3:
        raise click.UsageError("name a model, two versions, or a model and up to two of its versions")
    model, *versions = names
    if len(names) == 2 and model not in store.models():
        owners = [name for name in store.models() if model in store.versions(name)]
        model, versions = (owners[0], list(names)) if owners else (model, versions)
    known_model(store, model)
    a, b = (versions or ["previous"])[0], versions[1] if len(versions) == 2 else "champion"
    return model, known_version(store, model, a), known_version(store, model, b)


def compare(a: Card, b: Card) -> Iterator[Line]:
    """Every fact that one of the two has."""
    for section, facts in _sections(a).items():
        yield from _lines(section, facts, _sections(b)[section])


def _sections(card: Card) -> dict[str, dict[str, str]]:
    return {
        "model": {
            "task": card.task,
            "target": card.target,
            "created": f"{card.created:%Y-%m-%d %H:%M:%S %Z}",
            "verdict": card.judgement.reason if card.judgement else "",
            "size": f"{sum(file.size_bytes for file in card.files.values())} bytes",
            "methods": ", ".join(card.methods),
            "classes": ", ".join(map(str, card.classes or ())),
        },
        "metrics": _metrics(card),
        "features": {feature.name: feature.dtype for feature in card.features},
        "parameters": dict(card.parameters),
        "data": {"source": card.data.source, "rows": str(card.data.n_rows), "sha256": card.data.sha256[:16]},
        "libraries": dict(card.libraries),
    }


def _metrics(card: Card) -> dict[str, str]:
    scores = card.evaluation.get("scores")
    intervals: Mapping[str, Any] = scores.get("intervals", {}) if isinstance(scores, dict) else {}
    return {name: _metric(value, intervals.get(name)) for name, value in card.metrics.items()}


def _metric(value: float, interval: Any) -> str:
    match interval:
        case [float() | int() as low, float() | int() as high]:
            return f"{value:.4f}  [{low:.4f}, {high:.4f}]"
    return f"{value:.4f}"


def _lines(section: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Line]:
    for name in dict.fromkeys((*a, *b)):
        yield Line(section=section, name=name, a=a.get(name), b=b.get(name))


def _show(versions: list[str], lines: list[Line]) -> None:
    from rich.console import Console  # noqa: PLC0415  # `modelane --help` need not load it
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # a pipe has no edge
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "", *versions):
        grid.add_column(heading, overflow="fold")
    section = ""
    for line in lines:
        shown = ("" if value is None else value for value in (line.a, line.b))
        colour = "" if line.same else "red" if line.b is None else "green" if line.a is None else "yellow"
        mark = " " if line.same else "-" if line.b is None else "+" if line.a is None else "~"
        grid.add_row(
            f"[bold]{line.section}[/]" if line.section != section else "",
            escape(f"{mark} {line.name}"),
            *(escape(value) for value in shown),
            style=colour,
        )
        section = line.section
    console.print(grid)
