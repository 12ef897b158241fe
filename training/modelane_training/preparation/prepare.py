"""From rows as they came to rows to train on, and the profile of them.  collect → PREPARE → split.

collect, check, clean, profile and drift in their order.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelane.errors import IncompatibleModel, NoSuchVersion, UntrustedModel
from modelane_training.dataset.table import Table
from modelane_training.preparation import data_profile as profile
from modelane_training.preparation import drift
from modelane_training.preparation.cleaning import clean
from modelane_training.preparation.data_profile import PROFILE_FILE, Profile
from modelane_training.recipe import Recipe, Resolved
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class InService:
    """The version that answers now, and what its data looked like."""

    version: str
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    table: Table
    recipe: Resolved
    profile: Profile


def collect(recipe: Recipe, before: InService | None) -> Table:
    """A recipe's rows, with what the version in service must be asked with."""
    return recipe.collect(before.profile.names() if before else ())


def prepare(table: Table, recipe: Recipe, before: InService | None = None) -> Prepared:
    """Check, clean and describe a table.

    Raises:
        BadData: it cannot be trained on; the sentence names rows and columns.
        RecipeError: the recipe's metric is not one of the task that the target has.
    """
    cleaned = clean(table, recipe, before.profile if before else None)
    described = profile.describe(
        cleaned.table,
        cleaned.recipe,
        findings=cleaned.findings,
        dropped=cleaned.dropped,
        left_out=cleaned.left_out,
    )
    if before is not None:
        described = drift.compare(described, cleaned.table, before.profile, before.version)
    return Prepared(table=cleaned.table, recipe=cleaned.recipe, profile=described)


def in_service(model: str, *, store: Store, trusted: TrustedKeys) -> InService | None:
    """The profile of the version in service; None if there is none that can be read.

    Raises:
        StoreError: the store cannot be read.
    """
    version = store.champion(model)
    if version is None:
        return None
    try:
        files = store.read(model, version, trusted).files
    except (IncompatibleModel, NoSuchVersion, UntrustedModel):
        return None
    found = profile.decode(files.get(PROFILE_FILE, b""))
    return None if found is None else InService(version=version, profile=found)
