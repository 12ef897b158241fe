"""Score the champion on the candidate's hold-out.  store, split → CHAMPION → gate."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelane.errors import IncompatibleModel, NoSuchVersion, UntrustedModel
from modelane_training.evaluate import evaluate
from modelane_training.recipe import Resolved
from modelane_training.table import Table
from modelane_worker import artefact
from modelane_worker.card import Card
from modelane_worker.signing import TrustedKeys
from modelane_worker.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    version: str | None
    metrics: dict[str, float] = field(default_factory=dict)  #: empty if it could not be compared
    obstacle: str = ""  #: why it could not


def score_champion(recipe: Resolved, hold_out: Table, *, store: Store, trusted: TrustedKeys) -> Champion:
    """Measure the version in service on rows that the candidate is measured on.

    One that cannot answer them (made with other libraries, for other columns, no longer trusted)
    has no score and does not bar its successor: workers could not load it either, or the recipe has
    moved on.

    Raises:
        StoreError: the store cannot be read.
    """
    version = store.champion(recipe.model)
    if version is None:
        return Champion(version=None, obstacle="there is no champion to compare with")
    try:
        verified = store.read(recipe.model, version, trusted)
        _check_comparable(verified.card, recipe, hold_out)
        metrics = evaluate(artefact.load(verified), hold_out, recipe.task)
    except (IncompatibleModel, NoSuchVersion, UntrustedModel) as exc:
        return Champion(version=version, obstacle=f"the champion gives no score ({exc})")
    return Champion(version=version, metrics=metrics)


def _check_comparable(card: Card, recipe: Resolved, hold_out: Table) -> None:
    if card.task != recipe.task:
        raise IncompatibleModel(f"{card.version} was made for a {card.task}")
    if card.features != hold_out.features:
        raise IncompatibleModel(f"{card.version} was made for other columns")
    if card.classes and (unknown := set(hold_out.targets.tolist()).difference(card.classes)):
        raise IncompatibleModel(f"{card.version} does not know the class {unknown.pop()!r}")
