"""One run: train a candidate from a recipe, publish it as a version, and promote it if it passes the gate.

The steps are collect, check, split, search (or fit), evaluate, gate, report, publish and promote. Called by
:mod:`modelane_training.pipeline.local_run`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from modelane.errors import IncompatibleModel, NoSuchVersion, UntrustedModel
from modelane_training.evaluation import bootstrap, slices
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.evaluate import assess
from modelane_training.evaluation.predictions import predict
from modelane_training.gate import Verdict, decide
from modelane_training.pipeline.build_card import build_card, pack
from modelane_training.pipeline.champion_scores import score_champion
from modelane_training.preparation.data_profile import PROFILE_FILE
from modelane_training.preparation.prepare import champion_data, collect, prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe
from modelane_training.report.compose import compose_or_skip
from modelane_training.report.inputs import ReportInputs
from modelane_training.search.search import TrialResult, search
from modelane_training.search.study_store import StudyStore
from modelane_training.search.trials import Progress
from modelane_worker.registry.card import Card, Judgement
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run has published, and whether it was promoted."""

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
    run_id: str,
    key: SigningKey,
    trusted: TrustedKeys,
    on_promoted: Callable[[str], None],
    clock: Callable[[], datetime],
    studies: StudyStore | None = None,
    progress: Progress = lambda step, detail: None,
    report: bool = True,
) -> RunResult:
    """Train a candidate, compare it with the champion, publish it, and promote it if it passes the gate.

    The run is idempotent by ``run_id``. If its trainer is lost, another attempt makes the same version from
    the same seed, and does not publish again what was published already.

    Args:
        recipe: of the model.
        store: where the version is published.
        run_id: the same for all attempts of one run, and unique to the run.
        key: signs the version.
        trusted: the keys that the champion is verified with.
        on_promoted: called with the model's name after the champion has changed. It must not raise.
        clock: returns the current time, with a time zone.
        studies: stores the trials of the search, so that another attempt can resume it; None keeps them in
            memory.
        progress: called for each step.
        report: whether to write the HTML report, which takes some seconds.

    Raises:
        TrainingError: nothing was published.
        StoreError: the store failed. A version that was published is complete, but not in service.
    """
    started = clock()
    version = version_of(run_id, started)
    if (card := _published_before(recipe.model, version, store, trusted)) is not None:
        return _promote(_result_of(card), store=store, on_promoted=on_promoted, progress=progress)

    progress("collect", recipe.model)
    before = champion_data(recipe.model, store=store, trusted=trusted)
    table = collect(recipe, before)

    progress("check", f"{len(table)} rows with {len(table.features)} features, from {table.source}")
    data = prepare(table, recipe, before)
    table, decided = data.table, data.recipe
    for words in data.profile.messages():
        progress("check", words)

    progress("split", f"{decided.hold_out:.0%} hold-out; task {decided.task}, metric {decided.metric}")
    training, hold_out = split(table, decided)

    seed = seed_of(version)
    trials: tuple[TrialResult, ...] = ()
    if decided.estimator is None:
        found = search(training, decided, seed=seed, progress=progress, studies=studies, run_id=run_id)
        candidate, trials = found.estimator, found.trials
    else:
        progress("fit", f"{len(training)} rows, seed {seed}")
        candidate = decided.fit(training, seed)

    progress("evaluate", f"{len(hold_out)} rows of the hold-out")
    answers = predict(candidate, hold_out.matrix(), hold_out.targets, decided.task, positive=decided.positive)
    champion = score_champion(decided, hold_out, store=store, trusted=trusted)
    evaluation = assess(
        decided.metric,
        answers,
        bootstrap.draw(len(hold_out), seed=seed, groups=hold_out.groups, times=hold_out.times),
        baseline=baseline(
            training.targets, hold_out.targets, decided.task, decided.metric, positive=decided.positive
        ),
        champion=champion.answers,
        slices=slices.cut(hold_out, decided.gate.slices, seed=seed),
    )

    progress("gate", f"compare {decided.metric} with {champion.version or 'no champion'}")
    verdict = decide(
        decided.gate,
        evaluation,
        obstacle=champion.obstacle,
        serves=champion.serves,
        remedy=f"modelane promote {recipe.model} {version}",
    )

    files, diagnostics = pack(candidate), None
    if report:
        progress("report", f"{decided.model} {version}")
        inputs = ReportInputs(
            recipe=decided,
            version=version,
            created=started,
            seed=seed,
            table=table,
            training=training,
            hold_out=hold_out,
            estimator=candidate,
            answers=answers,
            evaluation=evaluation,
            verdict=verdict,
            champion=champion.version,
            champion_answers=champion.answers,
            trials=trials,
            profile=data.profile,
        )
        pages, diagnostics = compose_or_skip(inputs, progress)
        files |= pages

    progress("publish", version)
    card = build_card(
        decided,
        candidate,
        table,
        files,
        version=version,
        created=started,
        evaluation=evaluation,
        diagnostics=diagnostics,
        judgement=Judgement(promote=verdict.promote, reason=verdict.reason, champion=champion.version),
    )
    store.publish(card, files | {PROFILE_FILE: data.profile.encode()}, key)
    result = RunResult(
        model=recipe.model,
        version=version,
        verdict=verdict,
        metrics=evaluation.scores.metrics,
        champion=champion.version,
        champion_metrics={} if evaluation.champion is None else evaluation.champion.metrics,
    )
    return _promote(result, store=store, on_promoted=on_promoted, progress=progress)


def version_of(run_id: str, started: datetime) -> str:
    """Return the version that a run makes: its time, and a digest that all attempts of the run share."""
    return new_version(started, hashlib.sha256(run_id.encode()).digest())


def seed_of(version: str) -> int:
    """Return the seed of the run that made ``version``, with which the version can be reproduced."""
    return int(version.rpartition("-")[2], 16)


def _promote(
    result: RunResult, *, store: Store, on_promoted: Callable[[str], None], progress: Progress
) -> RunResult:
    """Promote the version if it passed the gate and the champion has not changed since the comparison."""
    if not result.verdict.promote:
        return result
    progress("promote", result.version)
    champion = store.promote_over(result.model, result.version, result.champion).champion
    if champion != result.version:
        reason = (
            f"{result.verdict.reason}; not promoted, because {champion} became the champion during the run"
        )
        return replace(result, verdict=Verdict(promote=False, reason=reason))
    on_promoted(result.model)
    return result


def _published_before(model: str, version: str, store: Store, trusted: TrustedKeys) -> Card | None:
    """Return the card that an earlier attempt of this run has published before its trainer was lost."""
    _, _, of_run = version.rpartition("-")
    for published in store.versions(model):
        if published.endswith(of_run):
            with suppress(NoSuchVersion, UntrustedModel, IncompatibleModel):
                card = store.read(model, published, trusted).card
                return card if card.judgement else None
    return None


def _result_of(card: Card) -> RunResult:
    assert card.judgement is not None
    return RunResult(
        model=card.model,
        version=card.version,
        verdict=Verdict(promote=card.judgement.promote, reason=card.judgement.reason),
        metrics=card.metrics,
        champion=card.judgement.champion,
        champion_metrics=(card.evaluation.get("champion") or {}).get("metrics", {}),
    )
