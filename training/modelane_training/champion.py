"""Have the champion answer the candidate's hold-out.  store, split → CHAMPION → evaluate."""

from __future__ import annotations

from dataclasses import dataclass

from modelane.errors import IncompatibleModel, NoSuchVersion, TrainingError, UntrustedModel
from modelane_training.answers import Answers, ask
from modelane_training.recipe import Resolved
from modelane_training.table import Table
from modelane_worker import artefact
from modelane_worker.card import Card
from modelane_worker.signing import TrustedKeys
from modelane_worker.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    version: str | None
    answers: Answers | None = None  #: None if it could not be compared
    obstacle: str = ""  #: why it could not


def ask_champion(
    recipe: Resolved, hold_out: Table, candidate: Answers, *, store: Store, trusted: TrustedKeys
) -> Champion:
    """The answers of the version in service to the rows that the candidate has answered.

    One that cannot answer them (made with other libraries, for other columns or classes, no longer
    trusted) does not bar its successor: workers could not load it either, or the recipe has moved on.

    Raises:
        StoreError: the store cannot be read.
    """
    version = store.champion(recipe.model)
    if version is None:
        return Champion(version=None, obstacle="there is no champion to compare with")
    try:
        verified = store.read(recipe.model, version, trusted)
        rows = _as_it_takes_them(verified.card, recipe, hold_out).matrix()
        answers = ask(artefact.load(verified), rows, hold_out.targets, recipe.task)
        _check_same_classes(version, answers, candidate)
    except (IncompatibleModel, NoSuchVersion, TrainingError, UntrustedModel) as exc:
        return Champion(version=version, obstacle=f"the champion gives no score ({exc})")
    return Champion(version=version, answers=answers)


def _as_it_takes_them(card: Card, recipe: Resolved, hold_out: Table) -> Table:
    """The same rows in the champion's own columns; the candidate may take others as well."""
    if card.task != recipe.task:
        raise IncompatibleModel(f"{card.version} was made for a {card.task}")
    if not set(card.features) <= set(hold_out.features):
        raise IncompatibleModel(f"{card.version} was made for other columns")
    return hold_out.only([feature.name for feature in card.features])


def _check_same_classes(version: str, champion: Answers, candidate: Answers) -> None:
    if champion.classes is None or candidate.classes is None:
        return
    ours, theirs = set(candidate.classes.tolist()), set(champion.classes.tolist())
    if ours != theirs:
        label = min(ours ^ theirs, key=str)
        raise IncompatibleModel(f"{version} and the candidate do not both know the class {label!r:.60}")
