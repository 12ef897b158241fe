"""A run on this machine: the settings' store, keys and bell.  cli, service, demo → TRAINER → retrain."""

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
from modelane_training.pipeline.signer import trainers_key
from modelane_training.preparation.prepare import collect, in_service, prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe
from modelane_training.search.join_search import join
from modelane_training.search.study_store import Studies
from modelane_worker.registry import notify
from modelane_worker.registry.held_versions import Holdings
from modelane_worker.registry.retention import prune, sweep
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store

logger = logging.getLogger(__name__)


def train(
    settings: Settings, recipe: Recipe, progress: run.Progress, *, run_id: str | None = None
) -> run.Outcome:
    """One run of a recipe; raises what :func:`modelane_training.pipeline.run.run` raises.

    Args:
        run_id: of a run that may have been begun before; None: a new one.
    """
    key = trainers_key(settings)  # first: the trusted file may appear with it

    def ring(model: str) -> None:
        # The promotion stands; workers that are not told find it by themselves.
        with suppress(BrokerUnavailable, BrokerRefused):
            notify.ring(settings, model)

    store = Store(settings.store_path)
    # Somebody's run in the foreground is not gone on with by anybody else.
    studies = Studies(settings) if run_id and settings.has_lanes else None
    outcome = run.run(
        recipe,
        run_id=run_id or secrets.token_hex(16),
        studies=studies,
        store=store,
        key=key,
        trusted=TrustedKeys.load(settings.trusted_keys_path),
        ring=ring,
        clock=lambda: datetime.now(UTC),
        progress=progress,
    )
    if studies is not None and run_id:
        studies.remove(recipe.model, run_id)
    _tidy(settings, store, outcome)
    return outcome


def assist(settings: Settings, recipe: Recipe, progress: run.Progress, *, run_id: str) -> int:
    """Take trials of the search of somebody else's run; how many it were.

    Raises:
        TrainingError: recipe or data are not the same here.
    """
    trusted = TrustedKeys.load(settings.trusted_keys_path)
    before = in_service(recipe.model, store=Store(settings.store_path), trusted=trusted)
    data = prepare(collect(recipe, before), recipe, before)
    training, _ = split(data.table, data.recipe)
    return join(training, data.recipe, studies=Studies(settings), run_id=run_id, progress=progress)


def _tidy(settings: Settings, store: Store, outcome: run.Outcome) -> None:
    """Throw away old versions; the run is done by then, so that nothing here may fail it."""
    gone: list[str] = []
    try:
        gone += sweep(store, outcome.model, now_s=time.time(), of_run=outcome.version)
        is_old = len(store.versions(outcome.model)) > settings.keep_versions
        if is_old and settings.has_lanes:  # elsewhere workers cannot say what they hold
            with connect(settings) as client:
                held = Holdings(client, settings.prefix).of(outcome.model)
            gone += prune(store, outcome.model, keep=settings.keep_versions, held=held)
    except (BrokerUnavailable, BrokerRefused, StoreError, OSError) as exc:
        logger.warning("%s: old versions stay: %s", outcome.model, exc, extra={"event": "tidy_failed"})
    if gone:
        logger.info("%s: removed %s", outcome.model, ", ".join(gone), extra={"event": "tidied"})
