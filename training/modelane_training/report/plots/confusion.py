"""Plot the confusion matrix: actual class by row, predicted class by column."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from modelane_training.report.diagnostics import Confusion
from modelane_training.report.plots.canvas import OURS, THEIRS, drawn, short


def confusion_matrix(found: Confusion) -> Markup:
    counts = np.array(found.counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    n = len(counts)

    def draw(axes: Axes) -> None:
        for row, column in np.ndindex(n, n):
            colour = OURS if row == column else THEIRS
            # Pale, so that the text is legible in light and dark mode.
            axes.add_patch(
                Rectangle((column, row), 0.96, 0.96, facecolor=colour, alpha=0.06 + 0.5 * shares[row, column])
            )
            if counts[row, column]:
                label = f"{counts[row, column]:,}" + (f"\n{shares[row, column]:.0%}" if n <= 6 else "")
                axes.text(
                    column + 0.48, row + 0.48, label, ha="center", va="center", fontsize=10 if n <= 6 else 8
                )
        names = [short(label, 14) for label in found.labels]
        axes.set_xticks(np.arange(n) + 0.48, names)
        if max(map(len, names)) * n > 40:
            axes.tick_params(axis="x", rotation=30)
        axes.set_yticks(np.arange(n) + 0.48, names)
        axes.set(xlim=(0, n), ylim=(n, 0), xlabel="predicted class", ylabel="actual class")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    correct = int(np.trace(counts))
    alt = (
        f"Confusion matrix: {correct:,} of {counts.sum():,} predictions are correct. "
        "The table below lists the classes."
    )
    side = 4.2 if n <= 6 else 5.2
    return drawn(draw, name="confusion", alt=alt, size=(side, side * 0.9))
