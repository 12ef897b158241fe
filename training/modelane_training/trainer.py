"""A run on this machine: the settings' store, keys and bell.  cli, service, demo → TRAINER → retrain."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import UTC, datetime

from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.settings import Settings
from modelane_training import retrain
from modelane_training.recipe import Recipe
from modelane_training.signer import trainers_key
from modelane_worker import bell
from modelane_worker.signing import TrustedKeys
from modelane_worker.store import Store


def train(
    settings: Settings, recipe: Recipe, progress: retrain.Progress, *, run_id: str | None = None
) -> retrain.Outcome:
    """One run of a recipe; raises what :func:`modelane_training.retrain.run` raises.

    Args:
        run_id: of a run that may have been begun before; None: a new one.
    """
    key = trainers_key(settings)  # first: the trusted file may appear with it

    def ring(model: str) -> None:
        # The promotion stands; workers that are not told find it by themselves.
        with suppress(BrokerUnavailable, BrokerRefused):
            bell.ring(settings, model)

    return retrain.run(
        recipe,
        run_id=run_id or secrets.token_hex(16),
        store=Store(settings.store_path),
        key=key,
        trusted=TrustedKeys.load(settings.trusted_keys_path),
        ring=ring,
        clock=lambda: datetime.now(UTC),
        progress=progress,
    )
