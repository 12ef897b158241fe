"""Prepare a recipe's data: collect, check, clean, describe it, and compare it with the champion's data."""

from __future__ import annotations

from dataclasses import dataclass

from modelane.errors import IncompatibleModel, NoSuchVersion, UntrustedModel
from modelane_training.dataset.table import Table
from modelane_training.preparation import data_profile, drift
from modelane_training.preparation.cleaning import clean
from modelane_training.preparation.data_profile import PROFILE_FILE, Profile
from modelane_training.preparation.describe import describe
from modelane_training.recipe import Recipe, Resolved
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionData:
    """The data that the champion was trained on."""

    version: str  #: the champion
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Data that is ready for the split."""

    table: Table
    recipe: Resolved
    profile: Profile


def collect(recipe: Recipe, champion: ChampionData | None) -> Table:
    """Read a recipe's rows, with the columns that the champion needs to predict them.

    Raises:
        BadData: the source's columns do not fit the recipe.
        RecipeError: the source failed.
    """
    return recipe.collect(champion.profile.names() if champion else ())


def prepare(table: Table, recipe: Recipe, champion: ChampionData | None = None) -> Prepared:
    """Check, clean and describe a table.

    Raises:
        BadData: the data cannot be trained on; the message names rows and columns.
        RecipeError: the recipe's metric does not belong to the target's task.
    """
    cleaned = clean(table, recipe, champion.profile if champion else None)
    profile = describe(
        cleaned.table,
        cleaned.recipe,
        findings=cleaned.findings,
        dropped=cleaned.dropped,
        left_out=cleaned.left_out,
    )
    if champion is not None:
        profile = drift.compare(profile, cleaned.table, champion.profile, champion.version)
    return Prepared(table=cleaned.table, recipe=cleaned.recipe, profile=profile)


def champion_data(model: str, *, store: Store, trusted: TrustedKeys) -> ChampionData | None:
    """Return the profile of the champion's data; None if there is no champion, or no readable profile.

    Raises:
        StoreError: the model store cannot be read.
    """
    version = store.champion(model)
    if version is None:
        return None
    try:
        files = store.read(model, version, trusted).files
    except (IncompatibleModel, NoSuchVersion, UntrustedModel):
        return None
    profile = data_profile.decode(files.get(PROFILE_FILE, b""))
    return None if profile is None else ChampionData(version=version, profile=profile)
