"""Plot ROC and precision-recall curves; with more than two classes, of each class against the rest."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from modelane_training.evaluation.predictions import Predictions
from modelane_training.evaluation.ranking_metrics import ranked_classes
from modelane_training.report.plots.canvas import MUTED, SERIES, THEIRS, drawn, short

#: Maximum number of classes with a curve, the most frequent ones.
MAX_CURVES = 4
#: Maximum number of points of a curve.
_POINTS = 200

_STYLES = ("-", "--", ":", "-.")

Curve = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def roc(answers: Predictions, champion: Predictions | None) -> Markup:
    curves = _curves(answers, champion, precision_recall=False)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="random")
        _paint(axes, curves)
        axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
        axes.legend(loc="lower right")

    return drawn(draw, name="roc", alt="ROC curve: " + _names(curves))


def precision_recall(answers: Predictions, champion: Predictions | None) -> Markup:
    curves = _curves(answers, champion, precision_recall=True)

    def draw(axes: Axes) -> None:
        if answers.positive is not None:
            share = float(np.mean(answers.truth == answers.positive))
            axes.axhline(share, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="random")
        _paint(axes, curves)
        axes.set(xlabel="recall", ylabel="precision")
        axes.legend(loc="lower left")

    return drawn(draw, name="pr", alt="Precision-recall curve: " + _names(curves))


def _curves(answers: Predictions, champion: Predictions | None, *, precision_recall: bool) -> list[Curve]:
    numbers = list(ranked_classes(answers))
    if answers.positive is not None:
        pair = [("candidate", answers)]
        if champion is not None and champion.scores is not None:
            pair.append(("champion", champion))
        return [_curve(name, of, numbers[0], precision_recall=precision_recall) for name, of in pair]
    assert answers.classes is not None
    counts = np.bincount(answers.truth, minlength=len(answers.classes))
    numbers.sort(key=lambda number: -counts[number])
    return [
        _curve(short(answers.classes[number]), answers, number, precision_recall=precision_recall)
        for number in numbers[:MAX_CURVES]
    ]


def _curve(name: str, answers: Predictions, number: int, *, precision_recall: bool) -> Curve:
    assert answers.scores is not None
    is_class, scores = answers.truth == number, answers.scores[:, number]
    if precision_recall:
        precision, recall, _ = precision_recall_curve(is_class, scores)
        across, up = recall[::-1], precision[::-1]
    else:
        across, up, _ = roc_curve(is_class, scores)
    kept = np.unique(np.linspace(0, len(across) - 1, _POINTS).astype(int))
    return name, across[kept], up[kept]


def _paint(axes: Axes, curves: list[Curve]) -> None:
    for number, (name, across, up) in enumerate(curves):
        colour = THEIRS if name == "champion" else SERIES[number]
        axes.plot(across, up, color=colour, linestyle=_STYLES[number], label=name)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _names(curves: list[Curve]) -> str:
    return ", ".join(name for name, _, _ in curves) + ". The table of metrics has the areas under the curves."
