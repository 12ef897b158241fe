"""The published model on ten data sets, compared with FLAML, gradient boosting and a dummy model.

All of them get the same training rows and are evaluated once on the same hold-out. FLAML gets as much time as
Modelane's search, and the columns unchanged; it uses its defaults and treats text as categories. Gradient
boosting is scikit-learn's with its defaults: strings are categories, and text is left out. The dummy model
ignores the features.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

from benchmarks import tables
from benchmarks.figure import Effort, Figure, Line
from modelane.data.features import ColumnType
from modelane_training.dataset.table import Table
from modelane_training.evaluation import bootstrap
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.evaluate import assess
from modelane_training.evaluation.metrics import LOSSES
from modelane_training.evaluation.predictions import Predictions, predict
from modelane_training.evaluation.results import Evaluation
from modelane_training.pipeline import run
from modelane_training.preparation.prepare import prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Budget, Recipe, Resolved
from modelane_training.search import feature_pipeline
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store

#: Seconds that each search may take.
BUDGET_S, QUICK_S = 40.0, 5.0
TARGET = 6

_FLAML_METRICS = {"average_precision": "ap"}


def measure(effort: Effort) -> Figure:
    budget_s = QUICK_S if effort.rounds == 1 else BUDGET_S
    figure, as_good = Figure(), 0
    recipes = tables.recipes(Budget(trials=100_000, minutes=budget_s / 60))
    for number, recipe in enumerate(recipes, start=1):
        effort.say(f"{recipe.model}, {number} of {len(recipes)}, {budget_s:g} s each for Modelane and FLAML")
        found = _set(recipe, budget_s)
        figure.lines.append(found.line())
        figure.data[recipe.model] = found.data
        as_good += found.gain >= 0
    figure.lines.append(
        Line(
            what=f"data sets on which the published model is at least as good as FLAML, {budget_s:g} s each",
            ours=f"{as_good} of {len(recipes)}",
            against="FLAML",
            result=f"{as_good}",
            target=f"at least {TARGET}",
            met=as_good >= TARGET,
        )
    )
    return figure


class _Set:
    """The results on one data set."""

    def __init__(
        self, metric: str, scores: dict[str, float], beside: Evaluation, data: dict[str, Any]
    ) -> None:
        self.metric, self.scores = metric, scores
        self.interval = beside.gains.get(metric)
        sign = -1 if metric in LOSSES else 1
        self.gain = sign * (scores["modelane"] - scores["flaml"])
        self.data = {"metric": metric, "scores": scores, "over_flaml": self.gain, **data}

    def line(self) -> Line:
        scores = self.scores
        interval = ""
        if self.interval is not None:
            interval = f" (95% CI {self.interval.low:+.4f} to {self.interval.high:+.4f})"
        direction = ", lower is better" if self.metric in LOSSES else ""
        return Line(
            what=f"{self.data['set']}, {self.metric}{direction}",
            ours=f"{scores['modelane']:.4f} {self.data['candidate']}",
            against=f"FLAML {scores['flaml']:.4f} {self.data['flaml']}\nboosting {scores['boosting']:.4f}, "
            f"dummy {scores['dummy']:.4f}",
            result=f"{self.gain:+.4f}{interval}",
            target="better than FLAML",
            met=None,
        )


def _set(recipe: Recipe, budget_s: float) -> _Set:
    data = prepare(recipe.collect(), recipe)
    decided = data.recipe
    training, hold_out = split(data.table, decided)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, candidate, ours_s = _published(recipe, hold_out, decided)
        automl, learner, flaml_s = _flaml(training, decided, budget_s)
        theirs = predict(automl, hold_out.rows, hold_out.targets, decided.task, positive=decided.positive)
        plain = _ask(_boosting(training, decided), hold_out, decided)
    guess = baseline(
        training.targets, hold_out.targets, decided.task, decided.metric, positive=decided.positive
    )
    draws = bootstrap.draw(len(hold_out), seed=0, groups=None, times=hold_out.times)
    beside = assess(decided.metric, ours, draws, champion=theirs)
    points = {"modelane": ours, "flaml": theirs, "boosting": plain, "dummy": guess}
    scores = {
        name: assess(decided.metric, each, draws).scores.metrics[decided.metric]
        for name, each in points.items()
    }
    facts = {"set": recipe.model, "candidate": candidate, "flaml": learner, "n_rows": len(data.table)}
    return _Set(decided.metric, scores, beside, {**facts, "modelane_s": ours_s, "flaml_s": flaml_s})


def _published(recipe: Recipe, hold_out: Table, decided: Resolved) -> tuple[Predictions, str, float]:
    """Train, publish, and load as a worker does.

    Returns:
        The predictions on the hold-out, the name of the chosen candidate, and the seconds of the run.
    """
    steps: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        home, began_s = Path(folder), time.perf_counter()
        key = SigningKey.create(home / "key.pem", home / "trusted.pem")
        trusted, store = TrustedKeys.load(home / "trusted.pem"), Store(home / "models")
        outcome = run.run(
            recipe,
            store=store,
            run_id=recipe.model,
            key=key,
            trusted=trusted,
            on_promoted=lambda model: None,
            clock=lambda: datetime.now(UTC),
            progress=lambda step, detail: steps.append(detail) if step == "fit" else None,
            report=False,
        )
        took_s = time.perf_counter() - began_s
        model = artifact.load(store.read(recipe.model, outcome.version, trusted))
    return _ask(model, hold_out, decided), steps[-1].partition(",")[0], took_s


def _flaml(training: Table, decided: Resolved, budget_s: float) -> tuple[Any, str, float]:
    from flaml import AutoML  # noqa: PLC0415  # slow to import

    began_s, automl = time.perf_counter(), AutoML()
    automl.fit(
        training.rows,  # it imputes missing values in a DataFrame, but its learners fail with an array
        training.targets,
        task=decided.task,
        metric=_FLAML_METRICS.get(decided.metric, decided.metric),
        time_budget=budget_s,
        seed=1,
        verbose=0,
        log_file_name="",
    )
    return automl, str(automl.best_estimator), time.perf_counter() - began_s


def _boosting(training: Table, decided: Resolved) -> Any:
    kind = HistGradientBoostingRegressor if decided.task == "regression" else HistGradientBoostingClassifier
    if training.numeric:
        return kind(random_state=1).fit(training.matrix(), training.targets)
    found = feature_pipeline.group_columns(training)
    strings = [*found.few, *found.many]
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=250,
    )
    dates = [feature.name for feature in training.features if feature.type is ColumnType.DATE]
    columns = make_column_transformer(
        (ordinal, strings),
        ("passthrough", list(found.numbers)),
        (FunctionTransformer(lambda frame: frame.astype("int64").to_numpy(dtype=float)), dates),
    )
    model = kind(random_state=1, categorical_features=list(range(len(strings))))
    return make_pipeline(columns, model).fit(training.rows, training.targets)


def _ask(model: Any, hold_out: Table, decided: Resolved) -> Predictions:
    return predict(model, hold_out.matrix(), hold_out.targets, decided.task, positive=decided.positive)
