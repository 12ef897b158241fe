"""One run: from a recipe to a version in the store, and into service if it is better.

recipe → RETRAIN (collect → check → split → fit or search → evaluate → gate → report → publish → promote)
→ store.
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
from modelane_training.evaluation.predictions import ask
from modelane_training.gate import Verdict, decide
from modelane_training.pipeline.build_card import build_card, pack
from modelane_training.pipeline.champion_scores import ask_champion
from modelane_training.preparation.data_profile import PROFILE_FILE
from modelane_training.preparation.prepare import collect, in_service, prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe
from modelane_training.report.inputs import Material
from modelane_training.report.write import write
from modelane_training.search.search import Tried, search
from modelane_training.search.study_store import Studies
from modelane_worker.registry.card import Card, Judgement
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version

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
    run_id: str,
    key: SigningKey,
    trusted: TrustedKeys,
    ring: Callable[[str], None],
    clock: Callable[[], datetime],
    studies: Studies | None = None,
    progress: Progress = lambda step, detail: None,
    report: bool = True,
) -> Outcome:
    """Train a candidate, judge it, publish it, and promote it if the gate says so.

    The same run may be begun again, because its trainer was lost in the middle: it makes the same version by
    the same seed, and what it has published already it does not publish twice.

    Args:
        run_id: the same for all attempts of a run, and of no other run.
        trusted: the champion is read with these.
        ring: told the model's name once the champion has changed.  It must not raise: the run is
            done by then, and workers look at the store by themselves too.
        clock: now, with a time zone.
        studies: keeps a search's trials where another attempt of the run finds them; None: in memory.
        report: whether a page on it is made; it takes some seconds.

    Raises:
        TrainingError: nothing was published.
        StoreError: the store refused; whatever was published is whole, and not in service.
    """
    started = clock()
    version = version_of(run_id, started)
    if (card := _published_before(recipe.model, version, store, trusted)) is not None:
        return _conclude(_remembered(card), store=store, ring=ring, progress=progress)

    progress("collect", recipe.model)
    before = in_service(recipe.model, store=store, trusted=trusted)
    table = collect(recipe, before)

    progress("check", f"{len(table)} rows of {len(table.features)} features, {table.source}")
    data = prepare(table, recipe, before)
    table, decided = data.table, data.recipe
    for words in data.profile.in_words():
        progress("check", words)

    progress("split", f"{decided.hold_out:.0%} held out; a {decided.task}, judged by {decided.metric}")
    training, hold_out = split(table, decided)

    seed = seed_of(version)
    trials: tuple[Tried, ...] = ()
    if decided.estimator is None:
        found = search(training, decided, seed=seed, progress=progress, studies=studies, run_id=run_id)
        candidate, trials = found.estimator, found.tried
    else:
        progress("fit", f"{len(training)} rows, seed {seed}")
        candidate = decided.fit(training, seed)

    progress("evaluate", f"{len(hold_out)} rows held out")
    answers = ask(candidate, hold_out.matrix(), hold_out.targets, decided.task, positive=decided.positive)
    champion = ask_champion(decided, hold_out, store=store, trusted=trusted)
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

    progress("gate", f"{decided.metric} against {champion.version or 'no champion'}")
    verdict = decide(
        decided.gate,
        evaluation,
        obstacle=champion.obstacle,
        serves=champion.serves,
        remedy=f"modelane promote {recipe.model} {version}",
    )

    files, findings = pack(candidate), None
    if report:
        progress("report", f"{decided.model} {version}")
        material = Material(
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
        pages, findings = write(material, progress)
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
        findings=findings,
        judgement=Judgement(promote=verdict.promote, reason=verdict.reason, champion=champion.version),
    )
    store.publish(card, files | {PROFILE_FILE: data.profile.encode()}, key)
    outcome = Outcome(
        model=recipe.model,
        version=version,
        verdict=verdict,
        metrics=evaluation.scores.metrics,
        champion=champion.version,
        champion_metrics={} if evaluation.champion is None else evaluation.champion.metrics,
    )
    return _conclude(outcome, store=store, ring=ring, progress=progress)


def _conclude(outcome: Outcome, *, store: Store, ring: Callable[[str], None], progress: Progress) -> Outcome:
    """Do as the gate said, unless somebody has moved the champion since."""
    if not outcome.verdict.promote:
        return outcome
    progress("promote", outcome.version)
    champion = store.promote_over(outcome.model, outcome.version, outcome.champion).champion
    if champion != outcome.version:
        reason = f"{outcome.verdict.reason}; but {champion} was made champion meanwhile"
        return replace(outcome, verdict=Verdict(promote=False, reason=reason))
    ring(outcome.model)
    return outcome


def version_of(run_id: str, started: datetime) -> str:
    """The version that a run makes: its time, and what all attempts of the run have in common."""
    return new_version(started, hashlib.sha256(run_id.encode()).digest())


def _published_before(model: str, version: str, store: Store, trusted: TrustedKeys) -> Card | None:
    """What an earlier attempt of this run has published before its trainer was lost."""
    _, _, of_run = version.rpartition("-")
    for published in store.versions(model):
        if published.endswith(of_run):
            with suppress(NoSuchVersion, UntrustedModel, IncompatibleModel):
                card = store.read(model, published, trusted).card
                return card if card.judgement else None
    return None


def _remembered(card: Card) -> Outcome:
    assert card.judgement is not None
    return Outcome(
        model=card.model,
        version=card.version,
        verdict=Verdict(promote=card.judgement.promote, reason=card.judgement.reason),
        metrics=card.metrics,
        champion=card.judgement.champion,
        champion_metrics=(card.evaluation.get("champion") or {}).get("metrics", {}),
    )


def seed_of(version: str) -> int:
    """The seed of the run that made ``version``, which can so be made again from its data."""
    return int(version.rpartition("-")[2], 16)
