"""`modelane diff`: compare the cards of two versions of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import msgspec

from modelane.cli.tables import print_table
from modelane_worker.cli.store_arguments import find_model, find_version, open_store
from modelane_worker.registry.card import Card
from modelane_worker.registry.store import Store


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One fact on the cards of two versions."""

    section: str
    name: str
    a: str | None  #: None if version A does not have it
    b: str | None  #: None if version B does not have it

    @property
    def same(self) -> bool:
        return self.a == self.b


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL] [A] [B]")
@click.option("--all", "show_all", is_flag=True, help="Also show what is equal in both versions.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def diff(names: tuple[str, ...], show_all: bool, as_json: bool) -> None:
    """Compare two versions of a model: metrics, features, parameters, data and libraries.

    A and B are version ids, the beginning or the end of an id, or the aliases champion and previous. A is the
    previous champion by default, and B the champion. MODEL can be left out if A and B are full version ids.

    The table shows what differs: + only B has it, - only A has it, ~ the values differ. It always shows the
    metrics, with their confidence intervals; each version was measured on its own hold-out.

    \b
    Examples:
        modelane diff churn
        modelane diff churn 1a2b3c4d
        modelane diff 20261122T113000-1a2b3c4d 20261123T030000-5e6f7a8b
        modelane diff churn previous champion --json
    """  # noqa: D301  # click needs a real backspace
    _, store = open_store()
    model, *versions = _chosen(store, names)
    cards = [store.card(model, version) for version in versions]
    lines = list(compare(*cards))
    if as_json:
        document = {"model": model, "a": versions[0], "b": versions[1], "lines": lines}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return
    _print(versions, [line for line in lines if show_all or not line.same or line.section == "metrics"])


def _chosen(store: Store, names: tuple[str, ...]) -> tuple[str, str, str]:
    """Return the model and the ids of the two versions to compare."""
    if not 1 <= len(names) <= 3:
        raise click.UsageError(
            f"{len(names)} names: expected a model, two versions, or a model and up to two of its versions"
        )
    model, *versions = names
    if len(names) == 2 and model not in store.models():
        owners = [name for name in store.models() if model in store.versions(name)]
        model, versions = (owners[0], list(names)) if owners else (model, versions)
    find_model(store, model)
    a, b = (versions or ["previous"])[0], versions[1] if len(versions) == 2 else "champion"
    return model, find_version(store, model, a), find_version(store, model, b)


def compare(a: Card, b: Card) -> Iterator[Line]:
    """Yield every fact that at least one of the two cards has."""
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


def _print(versions: list[str], lines: list[Line]) -> None:
    rows, styles, section = [], [], ""
    for line in lines:
        mark, style = _mark(line)
        heading = line.section if line.section != section else ""
        rows.append((heading, f"{mark} {line.name}", line.a or "", line.b or ""))
        styles.append(style)
        section = line.section
    print_table(rows, ("", "", *versions), styles=styles)


def _mark(line: Line) -> tuple[str, str]:
    """Return the sign in front of a line, and its colour."""
    if line.same:
        return " ", ""
    if line.a is None:
        return "+", "green"
    return ("-", "red") if line.b is None else ("~", "yellow")
