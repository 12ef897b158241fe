"""The candidates that come with Modelane, and their search spaces.

Each space is built around parameters that work without a search; these are tried first. A candidate that
would use too much of any budget on many rows has a maximum number of rows. Called by the search plan.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from optuna.trial import BaseTrial
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    LogisticRegression,
    Ridge,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from modelane.errors import RecipeError
from modelane_training.candidate import Candidate, of_estimator
from modelane_training.dataset.table import Table
from modelane_training.recipe import Resolved
from modelane_training.search import feature_pipeline
from modelane_training.search.cv_folds import Fold
from modelane_training.search.feature_pipeline import ColumnGroups
from modelane_worker.registry.card import Task

#: The cost of a support vector machine's kernel grows with the square of the rows.
_MAX_KERNEL_ROWS = 5_000
_MAX_LINEAR_SVM_ROWS = 50_000
_MAX_FOREST_ROWS = 500_000
#: Folds on which the probabilities of a support vector machine are calibrated; each needs rows of every
#: class.
_N_CALIBRATION_FOLDS = 3
#: Rows of the rarest class for a regression, which has no classes.
MANY = sys.maxsize
_N_TREES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTraits:
    """Properties of the training rows that search spaces depend on."""

    task: Task
    n_rows: int  #: of training
    n_columns: int  #: that an estimator gets, approximately
    #: Rows of the rarest class in the training part of any fold.
    n_rarest: int = MANY
    n_native: int = 0  #: category columns that boosting can split on without encoding
    uneven: bool = False  #: whether the rarest class has less than half of an equal share
    log_target: bool = False  #: whether the target is positive and skewed over orders of magnitude

    @property
    def classifies(self) -> bool:
        return self.task == "classification"


def data_traits(table: Table, task: Task, columns: ColumnGroups, folds: Sequence[Fold]) -> DataTraits:
    """Return the traits of the training rows."""
    uneven = log_target = False
    n_rarest = MANY
    if task == "classification":
        _, counts = np.unique(table.targets, return_counts=True)
        n_rarest = min(
            int(np.unique(table.targets[train], return_counts=True)[1].min()) for train, _ in folds
        )
        uneven = bool(counts.min() < 0.5 * len(table) / len(counts))
    else:
        low, middle, high = np.quantile(table.targets, (0.01, 0.5, 0.99))
        log_target = bool(table.targets.min() > 0 and high - middle > 2 * (middle - low))
    return DataTraits(
        task=task,
        n_rows=len(table),
        n_columns=columns.n_columns,
        n_rarest=n_rarest,
        n_native=feature_pipeline.n_native(columns),
        uneven=uneven,
        log_target=log_target,
    )


def candidates_of(recipe: Resolved, traits: DataTraits) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """Return the candidates to try, and why others are not tried.

    These are the candidates of the recipe, or all built-in ones, without those that cannot be fitted on these
    rows.

    Raises:
        RecipeError: a name is unknown or used twice, or no candidate can be fitted on these rows.
    """
    names = tuple(BUILT_IN) if recipe.candidates is None else recipe.candidates
    if not isinstance(names, tuple | list):
        raise RecipeError(f"candidates {names!r}: expected a tuple, such as ({names!r},)")
    if not names:
        raise RecipeError("candidates is empty: name at least one, or omit the field to try all")
    chosen = [_candidate(item, traits) for item in names]
    if twice := {each.name for each in chosen if [other.name for other in chosen].count(each.name) > 1}:
        raise RecipeError(f"two candidates are named {twice.pop()!r}: each name must be unique")
    left_out = {each.name: why for each in chosen if (why := each.unfit(traits.n_rows, traits.n_rarest))}
    if len(left_out) == len(chosen):
        raise RecipeError(
            f"no candidate can be fitted on the {traits.n_rows:,} training rows: "
            + "; ".join(left_out.values())
        )
    return tuple(each for each in chosen if each.name not in left_out), tuple(left_out.values())


def _candidate(item: object, traits: DataTraits) -> Candidate:
    if isinstance(item, Candidate):
        return item
    if isinstance(item, str):
        try:
            return BUILT_IN[item](traits)
        except KeyError:
            raise RecipeError(f"candidate {item!r}: expected one of {', '.join(BUILT_IN)}") from None
    if hasattr(item, "fit") and hasattr(item, "get_params"):
        return of_estimator(item)
    raise RecipeError(
        f"candidate {item!r:.80}: expected a name ({', '.join(BUILT_IN)}), a Candidate, or an estimator"
    )


def _linear(traits: DataTraits) -> Candidate:
    def build(trial: BaseTrial) -> Any:
        if traits.classifies:
            return LogisticRegression(
                C=trial.suggest_float("linear.c", 1e-4, 1e3, log=True),
                class_weight=_class_weight(trial, "linear", traits),
                max_iter=1000,
            )
        if trial.suggest_categorical("linear.sparse", [False, True]):
            model = ElasticNet(
                alpha=trial.suggest_float("linear.alpha", 1e-4, 1.0, log=True),
                l1_ratio=trial.suggest_float("linear.l1_ratio", 0.05, 1.0),
                max_iter=5000,
            )
        else:
            model = Ridge(alpha=trial.suggest_float("linear.ridge", 1e-3, 1e4, log=True))
        return _scaled_target(trial, "linear", traits, model)

    first: list[dict[str, Any]] = [{"c": 1.0}, {"c": 0.03}]
    if not traits.classifies:
        first = [{"sparse": False, "ridge": 1.0}, {"sparse": True, "alpha": 0.02, "l1_ratio": 0.9}]
    return Candidate(name="linear", build=build, dense=False, first=_first("linear", traits, *first))


def _svm(traits: DataTraits) -> Candidate:
    kernel = traits.n_rows <= _MAX_KERNEL_ROWS

    def build(trial: BaseTrial) -> Any:
        c = trial.suggest_float("svm.c", 1e-2, 1e3, log=True)
        weight = _class_weight(trial, "svm", traits) if traits.classifies else None
        # Squared distances grow with the number of columns, so only the remaining factor is searched.
        gamma = trial.suggest_float("svm.gamma", 0.02, 10, log=True) / traits.n_columns if kernel else 0.0
        if traits.classifies:
            shared = {"C": c, "class_weight": weight}
            margins = SVC(gamma=gamma, **shared) if kernel else LinearSVC(**shared)
            return CalibratedClassifierCV(margins, ensemble=False, cv=_N_CALIBRATION_FOLDS)
        model = SVR(C=c, gamma=gamma) if kernel else LinearSVR(C=c, max_iter=5000)
        return _scaled_target(trial, "svm", traits, model)

    first = _first("svm", traits, {"c": 1.0, "gamma": 1.0}, {"c": 10.0, "gamma": 0.3})
    return Candidate(
        name="svm",
        build=build,
        dense=kernel,
        max_rows=_MAX_LINEAR_SVM_ROWS,
        min_class_rows=_N_CALIBRATION_FOLDS,
        first=first,
    )


def _sgd(traits: DataTraits) -> Candidate:
    def build(trial: BaseTrial) -> Any:
        shared = {
            "alpha": trial.suggest_float("sgd.alpha", 1e-6, 1e-1, log=True),
            "penalty": "elasticnet",
            "l1_ratio": trial.suggest_float("sgd.l1_ratio", 0.0, 1.0),
            "average": True,
        }
        if traits.classifies:
            loss = trial.suggest_categorical("sgd.loss", ["log_loss", "modified_huber"])
            return SGDClassifier(loss=loss, class_weight=_class_weight(trial, "sgd", traits), **shared)
        loss = trial.suggest_categorical("sgd.loss", ["squared_error", "huber"])
        return _scaled_target(trial, "sgd", traits, SGDRegressor(loss=loss, **shared))

    loss = "log_loss" if traits.classifies else "squared_error"
    first = _first("sgd", traits, {"alpha": 1e-4, "l1_ratio": 0.15, "loss": loss})
    return Candidate(name="sgd", build=build, dense=False, first=first)


def _forest(traits: DataTraits, *, name: str, classifier: Any, regressor: Any) -> Candidate:
    def build(trial: BaseTrial) -> Any:
        shared = {
            "n_estimators": _N_TREES,
            "max_features": trial.suggest_float(f"{name}.max_features", 0.05, 1.0, log=True),
            "min_samples_leaf": trial.suggest_int(f"{name}.min_samples_leaf", 1, 32, log=True),
        }
        if traits.classifies:
            criterion = trial.suggest_categorical(f"{name}.criterion", ["gini", "entropy"])
            weight = _class_weight(trial, name, traits)
            return classifier(criterion=criterion, class_weight=weight, **shared)
        return _log_target(trial, name, traits, regressor(**shared))

    usual = float(np.clip(traits.n_columns**-0.5, 0.05, 1.0)) if traits.classifies else 0.4
    first = _first(name, traits, {"max_features": usual, "min_samples_leaf": 1, "criterion": "gini"})
    return Candidate(
        name=name, build=build, scale=False, missing=True, max_rows=_MAX_FOREST_ROWS, first=first
    )


def _random_forest(traits: DataTraits) -> Candidate:
    return _forest(traits, name="forest", classifier=RandomForestClassifier, regressor=RandomForestRegressor)


def _extra_trees(traits: DataTraits) -> Candidate:
    return _forest(traits, name="extra-trees", classifier=ExtraTreesClassifier, regressor=ExtraTreesRegressor)


def _boosting(traits: DataTraits) -> Candidate:
    def build(trial: BaseTrial) -> Any:
        shared = {
            "learning_rate": trial.suggest_float("boosting.learning_rate", 0.01, 0.3, log=True),
            "max_iter": trial.suggest_int("boosting.max_iter", 30, 600, log=True),
            "max_leaf_nodes": trial.suggest_int("boosting.max_leaf_nodes", 4, 96, log=True),
            "min_samples_leaf": trial.suggest_int("boosting.min_samples_leaf", 2, 100, log=True),
            "l2_regularization": trial.suggest_float("boosting.l2", 1e-4, 30, log=True),
            "max_features": trial.suggest_float("boosting.max_features", 0.2, 1.0),
            # The hold-out of early stopping ignores groups and times, and fails if a class is rare.
            "early_stopping": False,
        }
        native: dict[str, Any] = {}
        if traits.n_native and trial.suggest_categorical("features.native", [True, False]):
            native = {"categorical_features": list(range(traits.n_native))}
        if traits.classifies:
            weight = _class_weight(trial, "boosting", traits)
            return HistGradientBoostingClassifier(class_weight=weight, **shared, **native)
        return _log_target(trial, "boosting", traits, HistGradientBoostingRegressor(**shared, **native))

    usual = {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 31, "min_samples_leaf": 20}
    small = {"learning_rate": 0.05, "max_iter": 300, "max_leaf_nodes": 5, "min_samples_leaf": 10}
    first = _first(
        "boosting",
        traits,
        {**usual, "l2": 1e-4, "max_features": 1.0},
        {**small, "l2": 1e-3, "max_features": 0.5},
    )
    first = (first[0], first[1] | {"features.native": False})
    return Candidate(name="boosting", build=build, scale=False, native=True, missing=True, first=first)


def _first(name: str, traits: DataTraits, *trials: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Prefix the parameters of first trials with the candidate's name, and add the common defaults."""
    shared = {"balanced": False, "log_target": traits.log_target}
    return tuple({f"{name}.{key}": value for key, value in (shared | trial).items()} for trial in trials)


def _class_weight(trial: BaseTrial, name: str, traits: DataTraits) -> str | None:
    if not traits.uneven:
        return None
    return "balanced" if trial.suggest_categorical(f"{name}.balanced", [False, True]) else None


def _scaled_target(trial: BaseTrial, name: str, traits: DataTraits, model: Any) -> Any:
    """Scale the target to variance 1, which the loss's parameters assume."""
    scaled = TransformedTargetRegressor(model, transformer=StandardScaler())
    return _log_target(trial, name, traits, scaled)


def _log_target(trial: BaseTrial, name: str, traits: DataTraits, model: Any) -> Any:
    if not traits.log_target or not trial.suggest_categorical(f"{name}.log_target", [False, True]):
        return model
    return TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp)


#: From the fastest to the slowest: with little time, only the first ones are tried.
BUILT_IN: Mapping[str, Callable[[DataTraits], Candidate]] = MappingProxyType(
    {
        "linear": _linear,
        "boosting": _boosting,
        "forest": _random_forest,
        "svm": _svm,
        "extra-trees": _extra_trees,
        "sgd": _sgd,
    }
)
