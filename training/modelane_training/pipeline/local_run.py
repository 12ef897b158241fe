"""A run on this machine: with the model store, the keys and the notifications of the settings.

Called by the process of a run, `modelane demo` and tests; the steps are in
:mod:`modelane_training.pipeline.run`.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime

from modelane.broker.connection import connect
from modelane.errors import BrokerRefused, BrokerUnavailable, StoreError
from modelane.settings import Settings
from modelane_training.pipeline import run
from modelane_training.preparation.prepare import champion_data, collect, prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe
from modelane_training.search.search import join_search
from modelane_training.search.study_store import StudyStore
from modelane_training.search.trials import Progress
from modelane_worker.registry import notify
from modelane_worker.registry.held_versions import held_versions
from modelane_worker.registry.retention import prune, sweep
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store

logger = logging.getLogger(__name__)


def train(
    settings: Settings, recipe: Recipe, progress: Progress, *, run_id: str | None = None
) -> run.RunResult:
    """Execute one run of a recipe.

    Args:
        settings: name the model store and the keys.
        recipe: of the model.
        progress: called for each step.
        run_id: of a run that an earlier attempt may have started; None starts a new run.

    Raises:
        SettingsError: ``MODELANE_SIGNING_KEY`` names a file that is missing or holds no key.
        TrainingError: nothing was published.
        StoreError: the store, or the signing key, cannot be read or written.
    """
    key = signing_key(settings)  # first, because it may create the file of trusted keys

    def on_promoted(model: str) -> None:
        # The promotion is done. Workers that miss this message find the new champion when they poll the
        # store.
        with suppress(BrokerUnavailable, BrokerRefused):
            notify.notify_workers(settings, model)

    store = Store(settings.store_path)
    # Trials are stored in Redis only for runs that another trainer can resume.
    studies = StudyStore(settings) if run_id and settings.has_lanes else None
    result = run.run(
        recipe,
        run_id=run_id or secrets.token_hex(16),
        studies=studies,
        store=store,
        key=key,
        trusted=TrustedKeys.load(settings.trusted_keys_path),
        on_promoted=on_promoted,
        clock=lambda: datetime.now(UTC),
        progress=progress,
    )
    if studies is not None and run_id:
        studies.remove(recipe.model, run_id)
    _remove_old_versions(settings, store, result)
    return result


def help_search(settings: Settings, recipe: Recipe, progress: Progress, *, run_id: str) -> int:
    """Take trials of the search of a run that another trainer executes, and return how many.

    Raises:
        TrainingError: the recipe or the data differ from those of the search.
    """
    trusted = TrustedKeys.load(settings.trusted_keys_path)
    before = champion_data(recipe.model, store=Store(settings.store_path), trusted=trusted)
    data = prepare(collect(recipe, before), recipe, before)
    training, _ = split(data.table, data.recipe)
    return join_search(training, data.recipe, studies=StudyStore(settings), run_id=run_id, progress=progress)


def signing_key(settings: Settings) -> SigningKey:
    """Return the key that signs versions. Create it, and trust it, on the first use of the default path.

    Raises:
        SettingsError: ``MODELANE_SIGNING_KEY`` names a file that is missing or holds no key.
        StoreError: the new key cannot be written.
    """
    path = settings.signing_key_path
    if not settings.signing_key and not path.exists():
        try:
            return SigningKey.create(path, settings.trusted_keys_path)
        except FileExistsError:
            pass  # another trainer has created it in the meantime
    return SigningKey.load(path)


def _remove_old_versions(settings: Settings, store: Store, result: run.RunResult) -> None:
    """Apply the retention settings. Errors are logged: the run has succeeded already."""
    removed: list[str] = []
    try:
        removed += sweep(store, result.model, now_s=time.time(), of_run=result.version)
        has_old = len(store.versions(result.model)) > settings.keep_versions
        if has_old and settings.has_lanes:  # without lanes, workers cannot report which versions they hold
            with connect(settings) as client:
                held = held_versions(client, settings.prefix, result.model)
            removed += prune(store, result.model, keep=settings.keep_versions, held=held)
    except (BrokerUnavailable, BrokerRefused, StoreError, OSError) as exc:
        logger.warning(
            "%s: old versions are kept for now: %s", result.model, exc, extra={"event": "tidy_failed"}
        )
    if removed:
        logger.info("%s: removed versions %s", result.model, ", ".join(removed), extra={"event": "tidied"})
