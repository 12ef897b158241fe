"""Measure an estimator on the hold-out.  fit → EVALUATE → gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from sklearn import metrics as sk

from modelane.errors import TrainingError
from modelane_training.table import Table
from modelane_worker.artefact import Estimator
from modelane_worker.card import Task

METRICS: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        "classification": ("accuracy", "log_loss", "roc_auc"),
        "regression": ("r2", "rmse", "mae"),
    }
)

#: Metrics of which less is better.
LOSSES = frozenset({"log_loss", "rmse", "mae"})


def evaluate(estimator: Estimator, hold_out: Table, task: Task) -> dict[str, float]:
    """Every metric of the task that can be computed: without ``predict_proba``, accuracy only.

    Raises:
        TrainingError: the estimator does not answer these rows.
    """
    measure = _regression if task == "regression" else _classification
    try:
        found = measure(estimator, hold_out)
    except Exception as exc:  # an estimator may raise anything
        raise TrainingError(f"the hold-out has no score: {type(exc).__name__}: {exc}") from exc
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _regression(estimator: Estimator, hold_out: Table) -> dict[str, float]:
    truth, answers = hold_out.targets, estimator.predict(hold_out.matrix())
    return {
        "r2": float(sk.r2_score(truth, answers)),
        "rmse": float(sk.root_mean_squared_error(truth, answers)),
        "mae": float(sk.mean_absolute_error(truth, answers)),
    }


def _classification(estimator: Estimator, hold_out: Table) -> dict[str, float]:
    truth, rows = hold_out.targets, hold_out.matrix()
    found = {"accuracy": float(sk.accuracy_score(truth, estimator.predict(rows)))}
    if hasattr(estimator, "predict_proba"):
        shares = estimator.predict_proba(rows)
        classes = getattr(estimator, "classes_", None)
        scored = shares[:, 1] if shares.shape[1] == 2 else shares
        found["log_loss"] = float(sk.log_loss(truth, shares, labels=classes))
        found["roc_auc"] = float(sk.roc_auc_score(truth, scored, multi_class="ovr", labels=classes))
    return found
