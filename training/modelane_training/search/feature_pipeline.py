"""Turn the columns of a table into the numbers that an estimator is fitted on.

    group           columns                        become numbers         number
    imputed with a missing indicator, and scaled; or left as they are few categories  category, up to
    MAX_ONE_HOT    one column per value; all zero for an unseen value
                    values
    many            category, more values          the mean target of the value (cross-fitted); the overall
    mean categories                                     for an unseen value
      or both, for boosting                        integers that are split on as categories; NaN for an unseen
      value
    texts           text                           TF-IDF, reduced to topics where a dense matrix is needed
    dates           date                           year, month, weekday, hour, days; then as numbers

A request never fails here, whether it holds a missing value, a category that training has not seen, or a text
of new words. Called by the search plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from optuna.trial import BaseTrial
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectPercentile, f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)

from modelane.data.features import ColumnType
from modelane_training.candidate import Candidate
from modelane_training.dataset.column_kinds import column_kind
from modelane_training.dataset.table import Table
from modelane_worker.registry.card import Task
from modelane_worker.transformers import DateParts, Known, Words

#: Maximum number of values of a one-hot encoded column. More values slow trees down and take much memory.
MAX_ONE_HOT = 15
#: scikit-learn's boosting accepts at most 255 categories; the rarest values beyond this number share one.
_MAX_NATIVE = 250
_MAX_VOCABULARY = 20_000
_MAX_TOPICS = 50
#: Minimum number of columns for which feature selection is tried.
_MIN_TO_SELECT = 8

#: Values of the parameters below in the first trials.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "features.scaling": "standard",
        "features.select": False,
        "features.phrases": False,
        "features.native": True,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnGroups:
    """The columns of a table, grouped by how they are transformed."""

    n_rows: int
    numbers: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    has_missing: bool = False  #: whether any number or date is missing
    n_words: int = 0  #: distinct words of the text column with the fewest
    n_categories: int = 0  #: distinct values of all columns in ``few``

    @property
    def only_numbers(self) -> bool:
        """Whether rows come as an array, without column names."""
        return not (self.few or self.many or self.texts or self.dates)

    @property
    def n_columns(self) -> int:
        """The approximate number of columns that an estimator gets."""
        topics = min(_MAX_TOPICS, self.n_words) * len(self.texts)
        return len(self.numbers) + len(self.many) + 4 * len(self.dates) + self.n_categories + topics


def group_columns(table: Table) -> ColumnGroups:
    """Group the columns of a table. The same rows give the same groups."""
    names: dict[str, list[str]] = {"numbers": [], "few": [], "many": [], "texts": [], "dates": []}
    n_words, n_categories, has_missing = [], 0, False
    for feature in table.features:
        if feature.type is not ColumnType.STRING:
            names["dates" if feature.type is ColumnType.DATE else "numbers"].append(feature.name)
            has_missing |= bool(table.rows[feature.name].isna().any())
        else:
            known = table.rows[feature.name].dropna()
            n_values = known.nunique()
            if column_kind(known, feature) == "text":
                names["texts"].append(feature.name)
                n_words.append(len(set(known.str.lower().str.findall(r"\w\w+").explode())))
            elif n_values > MAX_ONE_HOT:
                names["many"].append(feature.name)
            else:
                names["few"].append(feature.name)
                n_categories += n_values
    return ColumnGroups(
        n_rows=len(table),
        has_missing=has_missing,
        n_words=min(n_words, default=0),
        n_categories=n_categories,
        **{group: tuple(members) for group, members in names.items()},
    )


def steps(
    columns: ColumnGroups, candidate: Candidate, trial: BaseTrial, *, task: Task, seed: int
) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline before its estimator. The trial suggests their parameters."""
    if not candidate.features:
        return []
    scaling = "none"
    if candidate.scale:
        scaling = trial.suggest_categorical("features.scaling", ["standard", "quantile"])
    numbers = _numbers(columns, candidate, scaling)
    inner = (KFold if task == "regression" else StratifiedKFold)(5, shuffle=True, random_state=seed)
    made: list[tuple[str, Any]] = []
    if columns.only_numbers:
        made += [("numbers", numbers)] if numbers is not None else []
    else:
        made.append(("columns", _columns(columns, candidate, trial, numbers, inner)))
    selects = not candidate.missing and columns.n_columns >= _MIN_TO_SELECT
    if selects and trial.suggest_categorical("features.select", [False, True]):
        score = f_regression if task == "regression" else f_classif
        percent = trial.suggest_int("features.percent", 5, 95)
        made.append(("select", SelectPercentile(score, percentile=percent)))
    return made


def n_native(columns: ColumnGroups) -> int:
    """Return the number of category columns that an estimator can split on without encoding."""
    return len(columns.few) + len(columns.many)


def _columns(columns: ColumnGroups, candidate: Candidate, trial: BaseTrial, numbers: Any, inner: Any) -> Any:
    parts: list[tuple[str, Any, tuple[str, ...]]] = []
    native = (
        candidate.native and n_native(columns) and trial.suggest_categorical("features.native", [True, False])
    )
    if native:
        ordinal = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
            max_categories=_MAX_NATIVE,
        )
        parts.append(("categories", ordinal, (*columns.few, *columns.many)))
    parts.append(("numbers", numbers or "passthrough", columns.numbers))
    parts.append(("dates", make_pipeline(DateParts(), *([numbers] if numbers else [])), columns.dates))
    # A share, not a count: otherwise each typing error among many rows would get a column of its own.
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.002, sparse_output=False)
    parts.append(("few", one_hot, () if native else columns.few))
    scaler = [StandardScaler()] if candidate.scale else []
    parts.append(("many", make_pipeline(TargetEncoder(cv=inner), *scaler), () if native else columns.many))
    phrases = bool(columns.texts) and trial.suggest_categorical("features.phrases", [False, True])
    for name in columns.texts:
        words = TfidfVectorizer(
            sublinear_tf=True, max_features=_MAX_VOCABULARY, ngram_range=(1, 2 if phrases else 1)
        )
        topics: list[Any] = []
        if candidate.dense:
            # A fold may contain fewer words than the table.
            n_topics = max(1, min(_MAX_TOPICS, columns.n_words // 4))
            topics = [TruncatedSVD(n_topics), *scaler]
        parts.append((f"text {name}", make_pipeline(Words(), words, *topics), (name,)))
    # ColumnTransformer takes a tuple as the name of one column.
    return ColumnTransformer(
        [(label.replace("__", "_"), step, list(names)) for label, step, names in parts if names],
        sparse_threshold=0.0 if candidate.dense else 0.3,
    )


def _numbers(columns: ColumnGroups, candidate: Candidate, scaling: str) -> Any:
    """Return the transformer of numbers and of date parts; None if there is none."""
    made: list[Any] = []
    if candidate.missing:
        made += [Known()] if columns.has_missing else []
    else:
        # Keep columns that are empty in a fold, so that the number of columns is always the same.
        made.append(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    if scaling == "quantile":
        n_quantiles = int(np.clip(columns.n_rows // 2, 10, 1000))
        made.append(QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal"))
    elif scaling == "standard":
        made.append(StandardScaler())
    return make_pipeline(*made) if made else None
