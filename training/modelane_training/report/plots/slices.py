"""What the candidate gains over the champion in each slice."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.evaluation.results import SliceScores
from modelane_training.report.plots.canvas import MUTED, OURS, THEIRS, drawn, short

MAX_SLICES = 24


def slice_gains(slices: tuple[SliceScores, ...], metric: str) -> Markup:
    """Of the slices that gain least, which are the ones to look at."""
    judged = [part for part in slices if part.gain is not None]
    judged.sort(key=lambda part: part.gain.value if part.gain else 0.0)
    judged = judged[:MAX_SLICES]
    gains = [part.gain for part in judged if part.gain is not None]

    def draw(axes: Axes) -> None:
        places = np.arange(len(judged))
        colours = [THEIRS if gain.high < 0 else OURS for gain in gains]
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.hlines(
            places, [gain.low for gain in gains], [gain.high for gain in gains], color=colours, linewidth=1.6
        )
        axes.scatter([gain.value for gain in gains], places, s=26, color=colours, zorder=3)
        axes.set_yticks(places, [f"{short(part.column, 20)} = {short(part.value, 24)}" for part in judged])
        axes.set(xlabel=f"{metric} gained over the champion", ylim=(len(judged) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)

    n_worse = sum(gain.high < 0 for gain in gains)
    says = f"Gains by slice: {n_worse} of {len(gains)} slices shown are worse beyond chance."
    return drawn(draw, name="slices", says=says, size=(6.8, 0.9 + 0.27 * len(judged)))
