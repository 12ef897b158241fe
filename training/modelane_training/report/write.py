"""A run's report, or none: it never costs a trained model.  gate → WRITE → publish."""

from __future__ import annotations

import logging
from collections.abc import Callable

from modelane_training.report import FILE
from modelane_training.report.findings import Findings
from modelane_training.report.inputs import Material

logger = logging.getLogger(__name__)


def write(
    material: Material, progress: Callable[[str, str], None]
) -> tuple[dict[str, bytes], Findings | None]:
    """The report as a version's file, and what goes on the card; neither if it fails, which is said."""
    try:
        # Not before it is wanted: what it draws with takes a second to import, and may be broken.
        from modelane_training.report.compose import compose  # noqa: PLC0415

        report = compose(material)
    except Exception as exc:  # many libraries, and an estimator
        reason = f"{type(exc).__name__}: {str(exc)[:200]}"
        logger.exception("no report", extra={"event": "report_failed", "model": material.recipe.model})
        progress("report", f"is left out ({reason})")
        return {}, None
    return {FILE: report.html}, report.findings
