"""A regression's answers against the truth, and what is left over."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.predictions import Answers
from modelane_training.report.plots.canvas import MUTED, OURS, drawn

#: Rows that are drawn; of more, chance takes so many.
MAX_POINTS = 1200


def predicted_and_actual(answers: Answers, seed: int) -> Markup:
    shown = _some(answers, seed)

    def draw(axes: Axes) -> None:
        ends = [min(shown.truth.min(), shown.predicted.min()), max(shown.truth.max(), shown.predicted.max())]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="exact")
        _dots(axes, shown.predicted, shown.truth)
        axes.set(xlabel="answer", ylabel="truth")
        axes.legend(loc="upper left")

    together = np.corrcoef(answers.truth, answers.predicted)[0, 1] if np.ptp(answers.predicted) else 0.0
    says = f"Truth against answer; their correlation is {together:.2f}."
    return drawn(draw, name="actual", says=says)


def residuals(answers: Answers, seed: int) -> Markup:
    shown = _some(answers, seed)
    left = answers.truth - answers.predicted

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=MUTED, linewidth=1)
        _dots(axes, shown.predicted, shown.truth - shown.predicted)
        axes.set(xlabel="answer", ylabel="truth less answer")

    low, high = np.quantile(left, [0.05, 0.95])
    says = f"What is left over against the answer; nine of ten lie between {low:.4g} and {high:.4g}."
    return drawn(draw, name="residuals", says=says)


def _dots(axes: Axes, across: np.ndarray, up: np.ndarray) -> None:
    many = len(across) > 300
    axes.scatter(across, up, s=7 if many else 14, color=OURS, alpha=0.4 if many else 0.6, linewidths=0)


def _some(answers: Answers, seed: int) -> Answers:
    if len(answers) <= MAX_POINTS:
        return answers
    return answers.take(np.random.default_rng(seed).choice(len(answers), MAX_POINTS, replace=False))
