"""One run: from a recipe to a version in the store, and into service if it is better.

recipe → RETRAIN (collect → check → split → fit → evaluate → gate → publish → promote) → store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from modelane.errors import RecipeError
from modelane_training.champion import score_champion
from modelane_training.check import check
from modelane_training.evaluate import evaluate
from modelane_training.gate import Verdict, decide
from modelane_training.publish import build_card, pack
from modelane_training.recipe import Recipe
from modelane_training.split import split
from modelane_worker.card import new_version
from modelane_worker.signing import SigningKey, TrustedKeys
from modelane_worker.store import Store

#: Told when a step begins: its name and, in a few words, what it works on.  Raising ends the run.
Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    model: str
    version: str  #: published, promoted or not
    verdict: Verdict
    metrics: dict[str, float]  #: of the candidate, on the hold-out
    champion: str | None  #: the version in service before the run
    champion_metrics: dict[str, float]  #: on the same hold-out; empty if it could not be compared


def run(  # noqa: PLR0913  # everything that a run touches, by name
    recipe: Recipe,
    *,
    store: Store,
    key: SigningKey,
    trusted: TrustedKeys,
    ring: Callable[[str], None],
    clock: Callable[[], datetime],
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    progress: Progress = lambda step, detail: None,
) -> Outcome:
    """Train a candidate, judge it, publish it, and promote it if the gate says so.

    Args:
        trusted: the champion is read with these.
        ring: told the model's name once the champion has changed.  It must not raise: the run is
            done by then, and workers look at the store by themselves too.
        clock: now, with a time zone.
        entropy: as many random bytes as asked for; they make the version's id and the run's seed.

    Raises:
        TrainingError: nothing was published.
        StoreError: the store refused; whatever was published is whole, and not in service.
    """
    started = clock()
    version = new_version(started, entropy(4))

    progress("collect", recipe.model)
    table = recipe.collect()

    progress("check", f"{len(table)} rows of {len(table.features)} features, {table.source}")
    check(table, recipe.task)

    progress("split", f"{recipe.hold_out:.0%} held out")
    training, hold_out = split(table, recipe)

    progress("fit", f"{len(training)} rows, seed {seed_of(version)}")
    candidate = recipe.fit(training, seed_of(version))

    progress("evaluate", f"{len(hold_out)} rows held out")
    metrics = evaluate(candidate, hold_out, recipe.task)
    champion = score_champion(recipe, hold_out, store=store, trusted=trusted)

    progress("gate", f"{recipe.metric} against {champion.version or 'no champion'}")
    verdict = decide(
        recipe.gate,
        recipe.metric,
        _score(metrics, recipe),
        champion.metrics.get(recipe.metric),
        no_champion=champion.obstacle,
    )

    progress("publish", version)
    card = build_card(recipe, candidate, table, version=version, created=started, metrics=metrics)
    store.publish(card, pack(candidate), key)

    if verdict.promote:
        progress("promote", version)
        store.promote(recipe.model, version)
        ring(recipe.model)
    return Outcome(
        model=recipe.model,
        version=version,
        verdict=verdict,
        metrics=metrics,
        champion=champion.version,
        champion_metrics=champion.metrics,
    )


def seed_of(version: str) -> int:
    """The seed of the run that made ``version``, which can so be made again from its data."""
    return int(version.rpartition("-")[2], 16)


def _score(metrics: dict[str, float], recipe: Recipe) -> float:
    try:
        return metrics[recipe.metric]
    except KeyError as exc:
        raise RecipeError(
            f"{recipe.metric} cannot be computed for this estimator; it has {', '.join(metrics)}"
        ) from exc
