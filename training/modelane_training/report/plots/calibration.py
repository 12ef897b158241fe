"""Plot observed frequencies against predicted probabilities."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from modelane_training.report.diagnostics import CalibrationBin
from modelane_training.report.plots.canvas import MUTED, OURS, drawn


def calibration_curve(bins: tuple[CalibrationBin, ...]) -> Markup:
    predicted = np.array([each.promised for each in bins])
    observed = np.array([each.happened for each in bins])
    n_rows = np.array([each.n_rows for each in bins])

    def draw(axes: Axes) -> None:
        axes.plot(
            [0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 2)), label="perfect calibration"
        )
        axes.plot(predicted, observed, color=OURS, linewidth=1.2)
        sizes = 12 + 150 * n_rows / n_rows.max()
        axes.scatter(predicted, observed, s=sizes, color=OURS, alpha=0.75, linewidths=0, label="candidate")
        axes.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            xlabel="predicted probability",
            ylabel="observed frequency",
        )
        axes.legend(loc="upper left", markerscale=0.6)

    worst = int(np.argmax(np.abs(predicted - observed)))
    alt = (
        f"Calibration in {len(bins)} bins. The widest gap: predicted {predicted[worst]:.2f}, "
        f"observed {observed[worst]:.2f}, {n_rows[worst]} rows."
    )
    return drawn(draw, name="calibration", alt=alt)
