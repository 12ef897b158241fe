"""Compose the report on a version: compute the diagnostics, draw the pictures, render the page.

A part that fails is left out and the reason is stated, and a report that fails is skipped: an error in the
report must not cost a trained model. Called by :mod:`modelane_training.pipeline.run`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from markupsafe import Markup

from modelane_training.report import FILE, calibration, columns, confusion, importances, learning
from modelane_training.report.diagnostics import Diagnostics, LearningPoint
from modelane_training.report.inputs import ReportInputs
from modelane_training.report.page import page
from modelane_training.search.cv_folds import folds

logger = logging.getLogger(__name__)

MAX_BYTES = 2 * 2**20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and the numbers in it that the card stores."""

    html: bytes  #: at most ``MAX_BYTES``
    diagnostics: Diagnostics


def compose_or_skip(
    inputs: ReportInputs, progress: Callable[[str, str], None]
) -> tuple[dict[str, bytes], Diagnostics | None]:
    """Return the report as a file of the version, and its diagnostics. Return neither if the report fails."""
    try:
        report = compose(inputs)
    except Exception as exc:  # from one of many libraries, or the estimator
        reason = f"{type(exc).__name__}: {str(exc)[:200]}"
        logger.exception("the report failed", extra={"event": "report_failed", "model": inputs.recipe.model})
        progress("report", f"skipped, because it failed ({reason})")
        return {}, None
    return {FILE: report.html}, report.diagnostics


def compose(inputs: ReportInputs) -> Report:
    """Return the report. Leave out the pictures if the page would be too large with them."""
    parts = _Parts()
    diagnostics = _diagnostics(inputs, parts)
    plots = _plots(inputs, diagnostics, parts)
    if inputs.evaluation.unjudged:
        parts.left_out.append(f"slices {inputs.evaluation.unjudged}")
    diagnostics = _with_left_out(diagnostics, parts)
    html = page(inputs, diagnostics, plots)
    if len(html) > MAX_BYTES:
        parts.left_out.append(f"all pictures: with them the page would be larger than {MAX_BYTES:,} bytes")
        diagnostics = _with_left_out(diagnostics, parts)
        html = page(inputs, diagnostics, {})
    return Report(html, diagnostics)


@dataclass(slots=True)
class _Parts:
    """The parts of a report, and why others are left out."""

    left_out: list[str] = field(default_factory=list)

    def make(self, name: str, part: Callable[[], T], fallback: T) -> T:
        try:
            return part()
        except Exception as exc:  # estimators and libraries may raise anything
            logger.warning("report: %s failed", name, exc_info=True, extra={"event": "report_part_failed"})
            self.left_out.append(f"{name}: {type(exc).__name__}: {str(exc)[:200]}")
            return fallback

    def noting(self, made: tuple[T, str]) -> T:
        """Return the part, and note what it leaves out."""
        part, left_out = made
        if left_out:
            self.left_out.append(left_out)
        return part


def _diagnostics(inputs: ReportInputs, parts: _Parts) -> Diagnostics:
    answers = inputs.answers
    if answers.classes is not None and answers.probabilities is None:
        parts.left_out.append("log-loss, Brier score and calibration: the estimator gives no probabilities")
    if answers.classes is not None and answers.scores is None:
        parts.left_out.append(
            "ROC and precision-recall curves: the estimator gives neither probabilities nor scores"
        )
    return Diagnostics(
        confusion=parts.make("confusion matrix", lambda: confusion.confusion(answers), None),
        classes=parts.make("classes", lambda: confusion.by_class(answers), ()),
        calibration=parts.make("calibration", lambda: calibration.calibration(answers), ()),
        learning=parts.make("learning curve", lambda: parts.noting(_learning(inputs)), ()),
        importances=parts.make(
            "feature importance", lambda: parts.noting(importances.importances(inputs)), ()
        ),
        columns=parts.make(
            "columns", lambda: parts.noting(columns.columns(inputs.table, inputs.profile)), ()
        ),
    )


def _learning(inputs: ReportInputs) -> tuple[tuple[LearningPoint, ...], str]:
    cv_folds = folds(inputs.training, inputs.recipe.task, inputs.recipe.seed)
    return learning.learning_curve(inputs, cv_folds)


def _plots(inputs: ReportInputs, diagnostics: Diagnostics, parts: _Parts) -> dict[str, Markup]:
    # matplotlib takes half a second to import, and only this function needs it.
    from modelane_training.report.plots import gallery  # noqa: PLC0415

    drawn = {}
    for name, draw in gallery.plots_of(inputs, diagnostics).items():
        if (picture := parts.make(f"picture {name}", draw, None)) is not None:
            drawn[name] = picture
    return drawn


def _with_left_out(diagnostics: Diagnostics, parts: _Parts) -> Diagnostics:
    return msgspec.structs.replace(diagnostics, left_out=tuple(parts.left_out))
