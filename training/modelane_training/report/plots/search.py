"""How the search went: each trial, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.metrics import LOSSES
from modelane_training.report.inputs import Trial
from modelane_training.report.plots.canvas import INK, MUTED, SERIES, drawn, short

#: Kinds of candidates that have a colour of their own; the others share one.
_MAX_KINDS = 4
_MARKS = ("o", "s", "^", "D")


def search_history(trials: Sequence[Trial], metric: str) -> Markup:
    judged = [trial for trial in trials if trial.score is not None]
    numbers = np.array([trial.number for trial in judged])
    scores = np.array([trial.score for trial in judged], dtype=np.float64)
    finished = np.array([trial.state == "finished" for trial in judged])
    best = np.where(finished, scores, np.inf if metric in LOSSES else -np.inf)
    best = np.minimum.accumulate(best) if metric in LOSSES else np.maximum.accumulate(best)
    kinds = list(dict.fromkeys(trial.candidate for trial in judged))

    def draw(axes: Axes) -> None:
        axes.step(
            numbers,
            np.where(np.isfinite(best), best, np.nan),
            where="post",
            color=INK,
            lw=1.2,
            label="best so far",
        )
        for number, kind in enumerate(kinds):
            ours = np.array([trial.candidate == kind for trial in judged])
            colour = SERIES[number] if number < _MAX_KINDS else MUTED
            mark = _MARKS[number % len(_MARKS)]
            axes.scatter(
                numbers[ours & finished],
                scores[ours & finished],
                s=22,
                marker=mark,
                color=colour,
                label=short(kind),
            )
            axes.scatter(
                numbers[ours & ~finished],
                scores[ours & ~finished],
                s=16,
                marker=mark,
                facecolors="none",
                edgecolors=colour,
            )
        axes.set(xlabel="trial", ylabel=f"{metric}, cross-validated")
        low, high = np.quantile(scores, [0.1, 1] if metric not in LOSSES else [0, 0.9])
        room = max(high - low, 1e-9) * 0.15
        axes.set_ylim(low - room, high + room)  # a trial that failed badly would flatten all others
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    says = f"Search: {len(judged)} trials judged, the best {metric} is {best[-1]:.4f}."
    return drawn(draw, name="search", says=says, size=(7.4, 3.4))
