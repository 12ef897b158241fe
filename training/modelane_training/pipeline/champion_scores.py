"""Have the champion answer the candidate's hold-out.  store, split → CHAMPION → evaluate."""

from __future__ import annotations

from dataclasses import dataclass

from modelane.errors import IncompatibleModel, NoSuchVersion, TrainingError, UntrustedModel
from modelane_training.dataset.table import Table
from modelane_training.evaluation.predictions import Answers, ask
from modelane_training.recipe import Resolved
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

#: Columns that one sentence names.
MAX_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    version: str | None
    answers: Answers | None = None  #: None if it could not be compared
    obstacle: str = ""  #: why it could not
    serves: bool = False  #: whether it answers its callers, so that nobody else may take its place uncompared


def ask_champion(recipe: Resolved, hold_out: Table, *, store: Store, trusted: TrustedKeys) -> Champion:
    """The answers of the version in service to the rows that the candidate has answered.

    One that cannot be loaded (made with other libraries, damaged, no longer trusted) serves nobody: workers
    cannot load it either.

    Raises:
        StoreError: the store cannot be read.
    """
    version = store.champion(recipe.model)
    if version is None:
        return Champion(version=None, obstacle="there is no champion to compare with")
    try:
        verified = store.read(recipe.model, version, trusted)
        estimator = artifact.load(verified)
    except (IncompatibleModel, NoSuchVersion, UntrustedModel) as exc:
        return Champion(version=version, obstacle=f"the champion cannot be loaded ({exc})")
    try:
        rows = _as_it_takes_them(verified.card, recipe, hold_out).matrix()
        answers = ask(estimator, rows, hold_out.targets, recipe.task, positive=recipe.positive)
    except (IncompatibleModel, TrainingError) as exc:
        return Champion(version=version, obstacle=f"the champion gives no score ({exc})", serves=True)
    return Champion(version=version, answers=answers)


def _as_it_takes_them(card: Card, recipe: Resolved, hold_out: Table) -> Table:
    """The same rows in the champion's own columns; the candidate may take others as well."""
    if card.task != recipe.task:
        raise IncompatibleModel(f"{card.version} was made for a {card.task}")
    everything = hold_out.with_spare()
    if missing := [each for each in card.features if each not in everything.features]:
        names = ", ".join(repr(each.name)[:60] for each in missing[:MAX_NAMED])
        raise IncompatibleModel(f"{card.version} takes columns that the data has no more, or not so: {names}")
    return everything.only([feature.name for feature in card.features])
