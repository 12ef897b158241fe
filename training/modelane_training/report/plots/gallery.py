"""Choose the pictures of a report."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from modelane_training.report.diagnostics import Diagnostics
from modelane_training.report.inputs import ReportInputs
from modelane_training.report.plots.calibration import calibration_curve
from modelane_training.report.plots.confusion import confusion_matrix
from modelane_training.report.plots.curves import precision_recall, roc
from modelane_training.report.plots.importances import importance_bars
from modelane_training.report.plots.learning import learning_curve
from modelane_training.report.plots.residuals import predicted_and_actual, residuals
from modelane_training.report.plots.search import search_history
from modelane_training.report.plots.slices import slice_gains


def plots_of(inputs: ReportInputs, diagnostics: Diagnostics) -> dict[str, Callable[[], Markup]]:
    """Return a function that draws each picture, by its name."""
    answers, champion, metric = inputs.answers, inputs.champion_answers, inputs.recipe.metric
    slices = inputs.evaluation.slices
    plots: dict[str, Callable[[], Markup]] = {}
    if (confusion := diagnostics.confusion) is not None:
        plots["confusion"] = lambda: confusion_matrix(confusion)
    else:
        plots["actual"] = lambda: predicted_and_actual(answers, inputs.seed)
        plots["residuals"] = lambda: residuals(answers, inputs.seed)
    if answers.scores is not None:
        plots["roc"] = lambda: roc(answers, champion)
        plots["pr"] = lambda: precision_recall(answers, champion)
    if diagnostics.calibration:
        plots["calibration"] = lambda: calibration_curve(diagnostics.calibration)
    if diagnostics.learning:
        plots["learning"] = lambda: learning_curve(diagnostics.learning, metric)
    if diagnostics.importances:
        plots["importances"] = lambda: importance_bars(diagnostics.importances, metric)
    if any(part.gain is not None for part in slices):
        plots["slices"] = lambda: slice_gains(slices, metric)
    if any(trial.score is not None for trial in inputs.trials):
        plots["search"] = lambda: search_history(inputs.trials, metric)
    return plots
