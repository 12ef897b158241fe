"""How often the gate promotes a model that is not better, and how often it promotes one that is.

Hold-outs are simulated, so that the true quality of each model is known exactly. Both models see the same
rows and mostly fail on the same ones, as two models of the same data do.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from scipy import stats
from sklearn.ensemble import RandomForestClassifier

from benchmarks.figure import Effort, Figure, Line
from modelane_training.evaluation import bootstrap
from modelane_training.evaluation.evaluate import assess
from modelane_training.evaluation.predictions import Predictions, predict
from modelane_training.evaluation.results import Evaluation
from modelane_training.gate import Gate, decide

#: Share of the noise variance that both models have in common.
SHARED = 0.8
#: Accuracy of the champion for two classes of equal frequency.
RIGHT = 0.80
#: Share of equal models that may be promoted.
EQUAL_TARGET = 0.05
#: A model whose accuracy is higher by GAIN, on ROWS rows, must be promoted in this share of the cases.
GAIN, ROWS, FOUND_TARGET = 0.05, 1000, 0.9

#: Rows of a hold-out to the number of hold-outs per round. With 5,000 rows, the bootstrap draws groups of
#: rows.
SIZES = {100: 60, 300: 60, 5000: 8}
GAINS = (0.01, 0.02, 0.03, 0.05)

Pair = tuple[Predictions, Predictions]
World = Callable[[np.random.Generator, int, float], Pair]


def two_classes(share: float) -> World:
    """Return a world of two classes whose scores are normal, ``d`` apart, and give the probabilities."""

    def world(random: np.random.Generator, n: int, gain: float) -> Pair:
        truth = (random.random(n) < share).astype(np.intp)
        truth[:2] = 0, 1  # as after a stratified split, each class has a row
        sides = 2 * truth - 1

        def model(d: float, noise: np.ndarray) -> Predictions:
            margin = 2 * d * (d * sides + noise) + np.log(share / (1 - share))
            of_second = 1 / (1 + np.exp(-margin))
            return _classified(truth, np.column_stack([1 - of_second, of_second]))

        ours, theirs = _noises(random, (n,))
        return (
            model(stats.norm.ppf(RIGHT + gain), ours),
            model(stats.norm.ppf(RIGHT), theirs),
        )

    return world


def four_classes(random: np.random.Generator, n: int, gain: float) -> Pair:
    truth = random.integers(4, size=n)
    truth[:4] = range(4)

    def model(d: float, noise: np.ndarray) -> Predictions:
        margins = d * (d * np.eye(4)[truth] + noise)
        shares = np.exp(margins - margins.max(1, keepdims=True))
        return _classified(truth, shares / shares.sum(1, keepdims=True))

    ours, theirs = _noises(random, (n, 4))
    return model(2 + 10 * gain, ours), model(2, theirs)


def amounts(random: np.random.Generator, n: int, gain: float) -> Pair:
    """A regression whose errors have heavy tails: Student's t with four degrees of freedom."""
    truth = random.normal(size=n) * 3
    scale = np.sqrt(4 / random.chisquare(4, n))  # per row: a hard row is hard for both models
    ours, theirs = _noises(random, (n,))
    return (
        Predictions(truth=truth, predicted=truth + (1 - gain) * scale * ours),
        Predictions(truth=truth, predicted=truth + scale * theirs),
    )


WORLDS: dict[str, World] = {
    "two classes": two_classes(0.5),
    "two classes, one in twenty": two_classes(0.05),
    "four classes": four_classes,
    "amounts": amounts,
}


def measure(effort: Effort) -> Figure:
    figure = Figure()
    equal = {name: _equal(effort, name) for name in WORLDS}
    figure.data["equal"] = equal
    groups = [group for sizes in equal.values() for metrics in sizes.values() for group in metrics.values()]
    promoted, judged = (sum(column) for column in zip(*groups, strict=True))
    worst = max(groups, key=lambda group: group[0] / group[1])
    figure.lines.append(
        Line(
            what=f"equal models promoted, {judged:,} decisions over all metrics on simulated hold-outs",
            ours=f"{promoted / judged:.1%}",
            against=f"worst metric and size: {worst[0]} of {worst[1]}",
            result="",
            target=f"at most {EQUAL_TARGET:.0%}, for no metric and size significantly more",
            met=promoted <= EQUAL_TARGET * judged and all(_may_be_fair(*group) for group in groups),
        )
    )
    figure.lines.append(_retrained(effort, figure))
    figure.lines.append(_power(effort, figure))
    return figure


def _equal(effort: Effort, name: str) -> dict[str, dict[str, tuple[int, int]]]:
    """Return the numbers of promotions and of decisions, by size and metric."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for n_rows, n_times in SIZES.items():
        effort.say(f"equal models: {name}, {n_rows} rows")
        verdicts: dict[str, list[bool]] = {}
        for seed in range(n_times * effort.rounds):
            evaluation = _evaluation(*WORLDS[name](np.random.default_rng([n_rows, seed]), n_rows, 0.0), seed)
            for metric in evaluation.gains:
                verdicts.setdefault(metric, []).append(_promoted(evaluation, metric))
        found[str(n_rows)] = {metric: (sum(each), len(each)) for metric, each in verdicts.items()}
    return found


def _retrained(effort: Effort, figure: Figure) -> Line:
    """Compare real models that are trained on fresh rows of the same source, and so differ only by chance."""
    effort.say("forests trained on fresh rows of the same source")
    verdicts = []
    for seed in range(20 * effort.rounds):
        random = np.random.default_rng([7, seed])

        def rows(n: int, random: np.random.Generator = random) -> tuple[np.ndarray, np.ndarray]:
            table = random.normal(size=(n, 6))
            return table, (table[:, 0] + table[:, 1] * table[:, 2] + random.normal(size=n) > 0).astype(int)

        def fitted(number: int) -> RandomForestClassifier:
            return RandomForestClassifier(30, min_samples_leaf=5, random_state=number).fit(*rows(600))

        held, targets = rows(200)
        ours, theirs = (
            predict(fitted(number), held, targets, "classification", positive=1)
            for number in (seed, seed + 1)
        )
        verdicts.append(_promoted(_evaluation(ours, theirs, seed), "roc_auc"))
    figure.data["retrained"] = [sum(verdicts), len(verdicts)]
    return Line(
        what="forests trained on fresh rows of the same source, promoted",
        ours=f"{np.mean(verdicts):.1%} of {len(verdicts)}",
        against="600 rows each, 200 held out, by roc_auc",
        result="",
        target=f"at most {EQUAL_TARGET:.0%}, within chance",
        met=_may_be_fair(sum(verdicts), len(verdicts)),
    )


def _power(effort: Effort, figure: Figure) -> Line:
    curve = {}
    for gain in GAINS:
        effort.say(f"models with {gain:.0%} higher accuracy, on {ROWS} rows")
        verdicts = [
            _promoted(
                _evaluation(*two_classes(0.5)(np.random.default_rng([3, seed]), ROWS, gain), seed), "accuracy"
            )
            for seed in range(40 * effort.rounds)
        ]
        curve[gain] = float(np.mean(verdicts))
    figure.data["power"] = {"rows": ROWS, "right": RIGHT, "promoted_by_gain": curve}
    return Line(
        what=f"a model with an accuracy of {RIGHT + GAIN:.0%}, not {RIGHT:.0%}, on {ROWS} rows, promoted",
        ours=f"{curve[GAIN]:.0%}",
        against=", ".join(f"+{gain:.0%}: {share:.0%}" for gain, share in curve.items()),
        result="",
        target=f"at least {FOUND_TARGET:.0%}",
        met=curve[GAIN] >= FOUND_TARGET,
    )


def _evaluation(candidate: Predictions, champion: Predictions, seed: int) -> Evaluation:
    draws = bootstrap.draw(len(candidate), seed=seed)
    return assess("r2" if candidate.classes is None else "accuracy", candidate, draws, champion=champion)


def _promoted(evaluation: Evaluation, metric: str) -> bool:
    return decide(Gate(), msgspec.structs.replace(evaluation, metric=metric)).promote


def _classified(truth: np.ndarray, shares: np.ndarray) -> Predictions:
    k = shares.shape[1]
    return Predictions(
        truth=truth,
        predicted=shares.argmax(1),
        classes=np.arange(k),
        probabilities=shares,
        scores=shares,
        positive=1 if k == 2 else None,
    )


def _noises(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    shared = random.normal(size=shape) * SHARED**0.5
    ours, theirs = (shared + random.normal(size=shape) * (1 - SHARED) ** 0.5 for _ in range(2))
    return ours, theirs


def _may_be_fair(promoted: int, judged: int) -> bool:
    """Return whether the number of promotions is plausible if the target holds (binomial test, p > 0.001).

    The level is low because there are many groups.
    """
    return bool(stats.binomtest(promoted, judged, EQUAL_TARGET, alternative="greater").pvalue > 0.001)
