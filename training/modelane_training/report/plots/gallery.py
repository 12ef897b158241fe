"""Which pictures a version has."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from modelane_training.report.findings import Findings
from modelane_training.report.inputs import Material
from modelane_training.report.plots.calibration import calibration_curve
from modelane_training.report.plots.confusion import confusion_matrix
from modelane_training.report.plots.curves import precision_recall, roc
from modelane_training.report.plots.importances import importance_bars
from modelane_training.report.plots.learning import learning_curve
from modelane_training.report.plots.residuals import predicted_and_actual, residuals
from modelane_training.report.plots.search import search_history
from modelane_training.report.plots.slices import slice_gains


def wanted(material: Material, findings: Findings) -> dict[str, Callable[[], Markup]]:
    """By name, how to draw each."""
    answers, champion, metric = material.answers, material.champion_answers, material.recipe.metric
    slices = material.evaluation.slices
    found: dict[str, Callable[[], Markup]] = {}
    if (confusion := findings.confusion) is not None:
        found["confusion"] = lambda: confusion_matrix(confusion)
    else:
        found["actual"] = lambda: predicted_and_actual(answers, material.seed)
        found["residuals"] = lambda: residuals(answers, material.seed)
    if answers.scores is not None:
        found["roc"] = lambda: roc(answers, champion)
        found["pr"] = lambda: precision_recall(answers, champion)
    if findings.calibration:
        found["calibration"] = lambda: calibration_curve(findings.calibration)
    if findings.learning:
        found["learning"] = lambda: learning_curve(findings.learning, metric)
    if findings.importances:
        found["importances"] = lambda: importance_bars(findings.importances, metric)
    if any(part.gain is not None for part in slices):
        found["slices"] = lambda: slice_gains(slices, metric)
    if any(trial.score is not None for trial in material.trials):
        found["search"] = lambda: search_history(material.trials, metric)
    return found
