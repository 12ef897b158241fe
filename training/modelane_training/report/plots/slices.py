"""Plot the gain of the candidate over the champion in each slice."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.results import SliceScores
from modelane_training.report.plots.canvas import MUTED, OURS, THEIRS, drawn, short

MAX_SLICES = 24


def slice_gains(slices: tuple[SliceScores, ...], metric: str) -> Markup:
    """Draw the slices with the smallest gain."""
    scored = [part for part in slices if part.gain is not None]
    scored.sort(key=lambda part: part.gain.value if part.gain else 0.0)
    scored = scored[:MAX_SLICES]
    gains = [part.gain for part in scored if part.gain is not None]

    def draw(axes: Axes) -> None:
        rows = np.arange(len(scored))
        colours = [THEIRS if gain.high < 0 else OURS for gain in gains]
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.hlines(
            rows, [gain.low for gain in gains], [gain.high for gain in gains], color=colours, linewidth=1.6
        )
        axes.scatter([gain.value for gain in gains], rows, s=26, color=colours, zorder=3)
        axes.set_yticks(rows, [f"{short(part.column, 20)} = {short(part.value, 24)}" for part in scored])
        axes.set(xlabel=f"gain of {metric} over the champion", ylim=(len(scored) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)

    n_worse = sum(gain.high < 0 for gain in gains)
    alt = f"Gain by slice: {n_worse} of the {len(gains)} slices shown are significantly worse."
    return drawn(draw, name="slices", alt=alt, size=(6.8, 0.9 + 0.27 * len(scored)))
