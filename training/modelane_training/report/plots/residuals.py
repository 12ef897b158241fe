"""Plot the predictions of a regression against actual values, and its residuals."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.predictions import Predictions
from modelane_training.report.plots.canvas import MUTED, OURS, drawn

#: Maximum number of rows that are drawn, chosen at random.
MAX_POINTS = 1200


def predicted_and_actual(answers: Predictions, seed: int) -> Markup:
    shown = _sample(answers, seed)

    def draw(axes: Axes) -> None:
        ends = [min(shown.truth.min(), shown.predicted.min()), max(shown.truth.max(), shown.predicted.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="exact")
        _dots(axes, shown.predicted, shown.truth)
        axes.set(xlabel="predicted", ylabel="actual")
        axes.legend(loc="upper left")

    correlation = np.corrcoef(answers.truth, answers.predicted)[0, 1] if np.ptp(answers.predicted) else 0.0
    alt = f"Actual against predicted values. Their correlation is {correlation:.2f}."
    return drawn(draw, name="actual", alt=alt)


def residuals(answers: Predictions, seed: int) -> Markup:
    shown = _sample(answers, seed)
    errors = answers.truth - answers.predicted

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=1)
        _dots(axes, shown.predicted, shown.truth - shown.predicted)
        axes.set(xlabel="predicted", ylabel="residual (actual - predicted)")

    low, high = np.quantile(errors, [0.05, 0.95])
    alt = f"Residuals against predicted values. 90 % of them are between {low:.4g} and {high:.4g}."
    return drawn(draw, name="residuals", alt=alt)


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    many = len(x) > 300
    axes.scatter(x, y, s=7 if many else 14, color=OURS, alpha=0.4 if many else 0.6, linewidths=0)


def _sample(answers: Predictions, seed: int) -> Predictions:
    if len(answers) <= MAX_POINTS:
        return answers
    return answers.take(np.random.default_rng(seed).choice(len(answers), MAX_POINTS, replace=False))
