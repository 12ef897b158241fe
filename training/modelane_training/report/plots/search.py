"""Plot the history of a search: the score of each trial, and the best score so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.metrics import LOSSES
from modelane_training.report.plots.canvas import INK, MUTED, SERIES, drawn, short
from modelane_training.search.search import TrialResult

#: Maximum number of candidates with a colour of their own; the others share one.
_MAX_COLOURS = 4
_MARKS = ("o", "s", "^", "D")


def search_history(trials: Sequence[TrialResult], metric: str) -> Markup:
    scored = [trial for trial in trials if trial.score is not None]
    numbers = np.array([trial.number for trial in scored])
    scores = np.array([trial.score for trial in scored], dtype=np.float64)
    finished = np.array([trial.state == "finished" for trial in scored])
    best = np.where(finished, scores, np.inf if metric in LOSSES else -np.inf)
    best = np.minimum.accumulate(best) if metric in LOSSES else np.maximum.accumulate(best)
    candidates = list(dict.fromkeys(trial.candidate for trial in scored))

    def draw(axes: Axes) -> None:
        axes.step(
            numbers,
            np.where(np.isfinite(best), best, np.nan),
            where="post",
            color=INK,
            lw=1.2,
            label="best so far",
        )
        for number, candidate in enumerate(candidates):
            own = np.array([trial.candidate == candidate for trial in scored])
            colour = SERIES[number] if number < _MAX_COLOURS else MUTED
            mark = _MARKS[number % len(_MARKS)]
            axes.scatter(
                numbers[own & finished],
                scores[own & finished],
                s=22,
                marker=mark,
                color=colour,
                label=short(candidate),
            )
            axes.scatter(
                numbers[own & ~finished],
                scores[own & ~finished],
                s=16,
                marker=mark,
                facecolors="none",
                edgecolors=colour,
            )
        axes.set(xlabel="trial", ylabel=f"{metric}, cross-validated")
        low, high = np.quantile(scores, [0.1, 1] if metric not in LOSSES else [0, 0.9])
        room = max(high - low, 1e-9) * 0.15
        axes.set_ylim(low - room, high + room)  # one very bad score would flatten all others
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    alt = f"Search: {len(scored)} trials with a score. The best {metric} is {best[-1]:.4f}."
    return drawn(draw, name="search", alt=alt, size=(7.4, 3.4))
