"""Render the report as one self-contained HTML page.

Names of columns, classes and values come from the data and may be hostile. So everything is escaped, and the
page's content security policy forbids scripts and external resources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelane_training.evaluation.metrics import LOSSES, MEANINGS
from modelane_training.report.diagnostics import Diagnostics
from modelane_training.report.inputs import ReportInputs
from modelane_training.search.search import TrialResult
from modelane_worker.registry import artifact

MAX_TRIALS, MAX_SLICES, MAX_NOTES = 30, 60, 200
_PARAMS_LENGTH = 160


def page(inputs: ReportInputs, diagnostics: Diagnostics, plots: Mapping[str, Markup]) -> bytes:
    """Return the page, UTF-8.

    Args:
        inputs: of the report.
        diagnostics: computed from them.
        plots: pictures by name; the page has no figure for names that are missing.
    """
    environment = Environment(
        loader=PackageLoader("modelane_training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "gain": gain, "interval": interval, "percent": percent}
    template = environment.get_template("page.html")
    return template.render(
        inputs=inputs,
        recipe=inputs.recipe,
        evaluation=inputs.evaluation,
        diagnostics=diagnostics,
        plots=plots,
        losses=LOSSES,
        meanings=MEANINGS,
        libraries=artifact.libraries(),
        trials=_best(inputs.trials, inputs.recipe.metric),
        slices=_worst(inputs),
        params=_params,
        notes=_notes(inputs),
        drifts=any(column.drift is not None for column in diagnostics.columns),
    ).encode()


def _notes(inputs: ReportInputs) -> list[str]:
    """Return the findings of the data check, and which columns are not used and why."""
    if (profile := inputs.profile) is None:
        return []
    left_out = [f"column {name[:60]!r} is not used: {why}" for name, why in profile.left_out.items()]
    return [*(finding.message for finding in profile.findings), *left_out][:MAX_NOTES]


def number(value: float | None) -> str:
    """Format a number with a precision that suits its size."""
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100_000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:,.2f}"
    return f"{value:.4f}" if size >= 0.0005 or not size else f"{value:.1e}"


def gain(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)


def interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _best(trials: Sequence[TrialResult], metric: str) -> list[TrialResult]:
    sign = 1 if metric in LOSSES else -1

    def rank(trial: TrialResult) -> tuple[bool, float, int]:
        finished = trial.state == "finished" and trial.score is not None
        return not finished, sign * (trial.score or 0.0) if finished else 0.0, trial.number

    return sorted(trials, key=rank)[:MAX_TRIALS]


def _worst(inputs: ReportInputs) -> list[Any]:
    """Return the slices, the smallest gain first, or the worst score first without a champion."""
    metric = inputs.evaluation.metric
    sign = 1 if metric in LOSSES else -1

    def rank(part: Any) -> float:
        if part.gain is not None:
            return float(part.gain.value)
        return -sign * float(part.scores.metrics.get(metric, 0.0))

    return sorted(inputs.evaluation.slices, key=rank)[:MAX_SLICES]


def _params(trial: TrialResult) -> str:
    text = ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
    return text if len(text) <= _PARAMS_LENGTH else text[: _PARAMS_LENGTH - 1] + "…"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
