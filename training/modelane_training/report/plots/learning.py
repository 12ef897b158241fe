"""Plot the score by the number of training rows."""

from __future__ import annotations

from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.report.diagnostics import LearningPoint
from modelane_training.report.plots.canvas import MUTED, OURS, WIDE, drawn


def learning_curve(points: tuple[LearningPoint, ...], metric: str) -> Markup:
    sizes = [point.n_rows for point in points]

    def draw(axes: Axes) -> None:
        ends = [point.unseen or (point.mean, point.mean) for point in points]
        axes.fill_between(
            sizes, [low for low, _ in ends], [high for _, high in ends], color=OURS, alpha=0.15, lw=0
        )
        axes.plot(sizes, [point.trained for point in points], "o--", color=MUTED, ms=4, label="training rows")
        axes.plot(sizes, [point.mean for point in points], "o-", color=OURS, ms=4, label="other rows")
        axes.set(xlabel="number of training rows", ylabel=metric, xscale="log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.legend()

    alt = (
        f"Learning curve: with {sizes[0]:,} rows {metric} is {points[0].mean:.3f}, "
        f"with {sizes[-1]:,} rows {points[-1].mean:.3f}."
    )
    return drawn(draw, name="learning", alt=alt, size=WIDE)
