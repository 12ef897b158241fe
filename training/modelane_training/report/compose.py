"""A version's report from what its run hands over: findings, pictures, page.

A part that fails is left out, with its reason: no report is worth a trained model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from markupsafe import Markup

from modelane_training.report import calibration, columns, confusion, importances, learning
from modelane_training.report.findings import Findings, LearningPoint
from modelane_training.report.inputs import Material
from modelane_training.report.page import page
from modelane_training.search.cv_folds import folds

logger = logging.getLogger(__name__)

MAX_BYTES = 2 * 2**20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    html: bytes  #: at most ``MAX_BYTES``
    findings: Findings


def compose(material: Material) -> Report:
    """Findings and page."""
    parts = _Parts()
    findings = _findings(material, parts)
    plots = _plots(material, findings, parts)
    if material.evaluation.unjudged:
        parts.left_out.append(f"slices {material.evaluation.unjudged}")
    findings = _with(findings, parts)
    html = page(material, findings, plots)
    if len(html) > MAX_BYTES:
        parts.left_out.append(f"pictures: with them the page would be larger than {MAX_BYTES:,} bytes")
        findings = _with(findings, parts)
        html = page(material, findings, {})
    return Report(html, findings)


@dataclass(slots=True)
class _Parts:
    left_out: list[str] = field(default_factory=list)

    def make(self, name: str, part: Callable[[], T], otherwise: T) -> T:
        try:
            return part()
        except Exception as exc:  # estimators and libraries may raise anything
            logger.warning("report: no %s", name, exc_info=True, extra={"event": "report_part_failed"})
            self.left_out.append(f"{name}: {type(exc).__name__}: {str(exc)[:200]}")
            return otherwise

    def said(self, found: tuple[T, str]) -> T:
        """What was found; what was not is noted."""
        part, left_out = found
        if left_out:
            self.left_out.append(left_out)
        return part


def _findings(material: Material, parts: _Parts) -> Findings:
    answers = material.answers
    if answers.classes is not None and answers.shares is None:
        parts.left_out.append("log-loss, Brier score and calibration: the estimator gives no probabilities")
    if answers.classes is not None and answers.scores is None:
        parts.left_out.append("ROC and precision-recall curves: the estimator ranks nothing")
    return Findings(
        confusion=parts.make("confusion matrix", lambda: confusion.confusion(answers), None),
        classes=parts.make("classes", lambda: confusion.by_class(answers), ()),
        calibration=parts.make("calibration", lambda: calibration.calibration(answers), ()),
        learning=parts.make("learning curve", lambda: parts.said(_learning(material)), ()),
        importances=parts.make("importances", lambda: parts.said(importances.importances(material)), ()),
        columns=parts.make(
            "columns", lambda: parts.said(columns.columns(material.table, material.profile)), ()
        ),
    )


def _learning(material: Material) -> tuple[tuple[LearningPoint, ...], str]:
    parts = folds(material.training, material.recipe.task, material.recipe.seed)
    return learning.learning_curve(material, parts)


def _plots(material: Material, findings: Findings, parts: _Parts) -> dict[str, Markup]:
    # matplotlib takes half a second to import, and is needed here only.
    from modelane_training.report.plots import gallery  # noqa: PLC0415

    drawn = {}
    for name, draw in gallery.wanted(material, findings).items():
        if (picture := parts.make(f"picture {name}", draw, None)) is not None:
            drawn[name] = picture
    return drawn


def _with(findings: Findings, parts: _Parts) -> Findings:
    return msgspec.structs.replace(findings, left_out=tuple(parts.left_out))
