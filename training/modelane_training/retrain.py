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
from modelane_training.recipe import Recipe, Resolved
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
    decided = recipe.resolve(table)
    check(table, decided.task)

    progress("split", f"{decided.hold_out:.0%} held out; a {decided.task}, judged by {decided.metric}")
    training, hold_out = split(table, decided)

    progress("fit", f"{len(training)} rows, seed {seed_of(version)}")
    candidate = decided.fit(training, seed_of(version))

    progress("evaluate", f"{len(hold_out)} rows held out")
    metrics = evaluate(candidate, hold_out, decided.task)
    champion = score_champion(decided, hold_out, store=store, trusted=trusted)

    progress("gate", f"{decided.metric} against {champion.version or 'no champion'}")
    verdict = decide(
        decided.gate,
        decided.metric,
        _score(metrics, decided),
        champion.metrics.get(decided.metric),
        no_champion=champion.obstacle,
    )

    progress("publish", version)
    card = build_card(decided, candidate, table, version=version, created=started, metrics=metrics)
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


def _score(metrics: dict[str, float], recipe: Resolved) -> float:
    try:
        return metrics[recipe.metric]
    except KeyError as exc:
        raise RecipeError(
            f"{recipe.metric} cannot be computed for this estimator; it has {', '.join(metrics)}"
        ) from exc
