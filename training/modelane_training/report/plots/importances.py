"""Plot the importance of each column."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.report.diagnostics import Importance
from modelane_training.report.plots.canvas import MUTED, OURS, drawn, short

MAX_BARS = 20


def importance_bars(found: tuple[Importance, ...], metric: str) -> Markup:
    shown = found[:MAX_BARS]

    def draw(axes: Axes) -> None:
        rows = np.arange(len(shown))
        axes.barh(rows, [each.loss for each in shown], height=0.62, color=OURS, alpha=0.75)
        axes.hlines(
            rows, [each.low for each in shown], [each.high for each in shown], color=MUTED, linewidth=1.4
        )
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(rows, [short(each.column) for each in shown])
        axes.set(xlabel=f"loss of {metric} when shuffled", ylim=(len(shown) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)

    alt = "Feature importance: " + ", ".join(f"{short(each.column)} {each.loss:.3g}" for each in shown[:5])
    return drawn(draw, name="importances", alt=alt, size=(6.4, 0.9 + 0.27 * len(shown)))
