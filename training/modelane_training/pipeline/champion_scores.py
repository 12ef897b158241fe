"""Let the champion predict the hold-out of the candidate, so that both are compared on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from modelane.errors import IncompatibleModel, NoSuchVersion, TrainingError, UntrustedModel
from modelane_training.dataset.table import Table
from modelane_training.evaluation.predictions import Predictions, predict
from modelane_training.recipe import Resolved
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

#: Columns that an error lists.
MAX_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionScores:
    """The champion's predictions, or why there are none."""

    version: str | None
    answers: Predictions | None = None  #: None if it could not be compared
    obstacle: str = ""  #: why it could not be compared
    serves: bool = (
        False  #: whether it answers requests, so that no candidate may replace it without comparison
    )


def score_champion(
    recipe: Resolved, hold_out: Table, *, store: Store, trusted: TrustedKeys
) -> ChampionScores:
    """Predict the hold-out with the version in service.

    A champion that cannot be loaded (other library versions, damaged, no longer trusted) serves no requests:
    workers cannot load it either.

    Raises:
        StoreError: the store cannot be read.
    """
    version = store.champion(recipe.model)
    if version is None:
        return ChampionScores(version=None, obstacle="there is no champion to compare with")
    try:
        verified = store.read(recipe.model, version, trusted)
        estimator = artifact.load(verified)
    except (IncompatibleModel, NoSuchVersion, UntrustedModel) as exc:
        return ChampionScores(version=version, obstacle=f"the champion cannot be loaded ({exc})")
    try:
        rows = _with_columns_of(verified.card, recipe, hold_out).matrix()
        answers = predict(estimator, rows, hold_out.targets, recipe.task, positive=recipe.positive)
    except (IncompatibleModel, TrainingError) as exc:
        return ChampionScores(
            version=version, obstacle=f"the champion cannot be compared ({exc})", serves=True
        )
    return ChampionScores(version=version, answers=answers)


def _with_columns_of(card: Card, recipe: Resolved, hold_out: Table) -> Table:
    """Return the same rows with the champion's columns, which may differ from the candidate's."""
    if card.task != recipe.task:
        raise IncompatibleModel(
            f"version {card.version} was trained for {card.task}, and the recipe is for {recipe.task}"
        )
    everything = hold_out.with_spare()
    if missing := [each for each in card.features if each not in everything.features]:
        names = ", ".join(repr(each.name)[:60] for each in missing[:MAX_LISTED])
        raise IncompatibleModel(
            f"version {card.version} needs columns that the data lacks, or has with another type: {names}"
        )
    return everything.only([feature.name for feature in card.features])
