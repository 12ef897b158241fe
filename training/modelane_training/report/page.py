"""All that is known of a version as one HTML page, which needs nothing but itself.  findings, plots → PAGE.

Names of columns, classes and values come from data and are hostile: everything is escaped, and the page
forbids itself scripts and anything from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelane_training.evaluation.metrics import LOSSES, MEANINGS
from modelane_training.report.findings import Findings
from modelane_training.report.inputs import Material, Trial
from modelane_worker.registry import artifact

MAX_TRIALS, MAX_SLICES, MAX_NOTES = 30, 60, 200
_PARAMS_LENGTH = 160


def page(material: Material, findings: Findings, plots: Mapping[str, Markup]) -> bytes:
    """UTF-8.

    Args:
        plots: by name; those that are not there are left out of the page.
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
        material=material,
        recipe=material.recipe,
        evaluation=material.evaluation,
        findings=findings,
        plots=plots,
        losses=LOSSES,
        meanings=MEANINGS,
        libraries=artifact.libraries(),
        trials=_best(material.trials, material.recipe.metric),
        slices=_by_gain(material),
        params=_params,
        notes=_notes(material),
        drifts=any(column.drift is not None for column in findings.columns),
    ).encode()


def _notes(material: Material) -> list[str]:
    """What was found in the data, and which columns were left out."""
    if (profile := material.profile) is None:
        return []
    left_out = [f"{name[:60]} is left out: {why}" for name, why in profile.left_out.items()]
    return [*(finding.words for finding in profile.findings), *left_out][:MAX_NOTES]


def number(value: float | None) -> str:
    """With as many digits as its size bears."""
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


def _best(trials: Sequence[Trial], metric: str) -> list[Trial]:
    sign = 1 if metric in LOSSES else -1

    def rank(trial: Trial) -> tuple[bool, float, int]:
        finished = trial.state == "finished" and trial.score is not None
        return not finished, sign * (trial.score or 0.0) if finished else 0.0, trial.number

    return sorted(trials, key=rank)[:MAX_TRIALS]


def _by_gain(material: Material) -> list[Any]:
    """Those that lost most come first, or without a champion those that are worst."""
    metric = material.evaluation.metric
    sign = 1 if metric in LOSSES else -1

    def rank(part: Any) -> float:
        if part.gain is not None:
            return float(part.gain.value)
        return -sign * float(part.scores.metrics.get(metric, 0.0))

    return sorted(material.evaluation.slices, key=rank)[:MAX_SLICES]


def _params(trial: Trial) -> str:
    said = ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
    return said if len(said) <= _PARAMS_LENGTH else said[: _PARAMS_LENGTH - 1] + "…"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
