"""From a table's columns to the numbers that an estimator takes.  candidate → FEATURES → search.

    kind      a column                             becomes
    numbers   float64                              filled and marked, scaled; as they are where NaN is taken
    few       strings, at most MAX_ONE_HOT         one column each; one never seen is none of them
    many      strings, more                        the target's mean by category (cross-fitted), else overall
      or both, for boosting                        whole numbers, taken as categories; NaN if never seen
    texts     strings of several words             TF-IDF; a few topics of it where a dense matrix is needed
    dates     datetime64[us]                       year, month, weekday, hour, days; then as numbers

Nothing that a request may hold (a missing value, a category never seen, a text of new words) fails here.
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
from modelane_training.dataset.column_kinds import kind_of
from modelane_training.dataset.table import Table
from modelane_worker.registry.card import Task
from modelane_worker.transformers import DateParts, Known, Words

#: Categories of a column that each get a column of their own; with more, trees and memory suffer.
MAX_ONE_HOT = 15
#: scikit-learn's boosting takes 255; the rest of a column's are one.
_MAX_NATIVE = 250
_MAX_VOCABULARY = 20_000
_MAX_TOPICS = 50
#: Columns from which selecting is worth a try.
_MIN_TO_SELECT = 8

#: What each choice below is in the first trials.
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "features.scaling": "standard",
        "features.select": False,
        "features.phrases": False,
        "features.native": True,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """A table's columns by what is made of them."""

    n_rows: int
    numbers: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    many: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    gaps: bool = False  #: whether a number or a date is missing anywhere
    n_words: int = 0  #: different ones, in the text with the fewest
    n_categories: int = 0  #: of all of ``few``

    @property
    def only_numbers(self) -> bool:
        """Then rows come as an array, without column names."""
        return not (self.few or self.many or self.texts or self.dates)

    @property
    def n_columns(self) -> int:
        """About how many an estimator gets."""
        topics = min(_MAX_TOPICS, self.n_words) * len(self.texts)
        return len(self.numbers) + len(self.many) + 4 * len(self.dates) + self.n_categories + topics


def kinds(table: Table) -> Kinds:
    """Sort the columns; the same rows give the same kinds."""
    names: dict[str, list[str]] = {"numbers": [], "few": [], "many": [], "texts": [], "dates": []}
    n_words, n_categories, gaps = [], 0, False
    for feature in table.features:
        if feature.type is not ColumnType.STRING:
            names["dates" if feature.type is ColumnType.DATE else "numbers"].append(feature.name)
            gaps |= bool(table.rows[feature.name].isna().any())
        else:
            known = table.rows[feature.name].dropna()
            n_values = known.nunique()
            if kind_of(known, feature) == "text":
                names["texts"].append(feature.name)
                n_words.append(len(set(known.str.lower().str.findall(r"\w\w+").explode())))
            elif n_values > MAX_ONE_HOT:
                names["many"].append(feature.name)
            else:
                names["few"].append(feature.name)
                n_categories += n_values
    return Kinds(
        n_rows=len(table),
        gaps=gaps,
        n_words=min(n_words, default=0),
        n_categories=n_categories,
        **{kind: tuple(columns) for kind, columns in names.items()},
    )


def steps(
    found: Kinds, candidate: Candidate, trial: BaseTrial, *, task: Task, seed: int
) -> list[tuple[str, Any]]:
    """The steps of a pipeline before its estimator; the trial chooses where there is a choice."""
    if not candidate.features:
        return []
    scaling = "none"
    if candidate.scale:
        scaling = trial.suggest_categorical("features.scaling", ["standard", "quantile"])
    numbers = _numbers(found, candidate, scaling)
    inner = (KFold if task == "regression" else StratifiedKFold)(5, shuffle=True, random_state=seed)
    made: list[tuple[str, Any]] = []
    if found.only_numbers:
        made += [("numbers", numbers)] if numbers is not None else []
    else:
        made.append(("columns", _columns(found, candidate, trial, numbers, inner)))
    selects = not candidate.missing and found.n_columns >= _MIN_TO_SELECT
    if selects and trial.suggest_categorical("features.select", [False, True]):
        score = f_regression if task == "regression" else f_classif
        percent = trial.suggest_int("features.percent", 5, 95)
        made.append(("select", SelectPercentile(score, percentile=percent)))
    return made


def n_native(found: Kinds) -> int:
    """Columns of categories that an estimator may take as they are."""
    return len(found.few) + len(found.many)


def _columns(found: Kinds, candidate: Candidate, trial: BaseTrial, numbers: Any, inner: Any) -> Any:
    parts: list[tuple[str, Any, tuple[str, ...]]] = []
    native = (
        candidate.native and n_native(found) and trial.suggest_categorical("features.native", [True, False])
    )
    if native:
        ordinal = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
            max_categories=_MAX_NATIVE,
        )
        parts.append(("categories", ordinal, (*found.few, *found.many)))
    parts.append(("numbers", numbers or "passthrough", found.numbers))
    parts.append(("dates", make_pipeline(DateParts(), *([numbers] if numbers else [])), found.dates))
    # A share, not a number, so that a column of many rows does not get a column for each slip of the pen.
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.002, sparse_output=False)
    parts.append(("few", one_hot, () if native else found.few))
    scaler = [StandardScaler()] if candidate.scale else []
    parts.append(("many", make_pipeline(TargetEncoder(cv=inner), *scaler), () if native else found.many))
    phrases = bool(found.texts) and trial.suggest_categorical("features.phrases", [False, True])
    for name in found.texts:
        words = TfidfVectorizer(
            sublinear_tf=True, max_features=_MAX_VOCABULARY, ngram_range=(1, 2 if phrases else 1)
        )
        topics: list[Any] = []
        if candidate.dense:
            # A fold may have fewer words than the table.
            n_topics = max(1, min(_MAX_TOPICS, found.n_words // 4))
            topics = [TruncatedSVD(n_topics), *scaler]
        parts.append((f"text {name}", make_pipeline(Words(), words, *topics), (name,)))
    # Lists: a tuple would be taken for one column's name.
    return ColumnTransformer(
        [(label.replace("__", "_"), step, list(columns)) for label, step, columns in parts if columns],
        sparse_threshold=0.0 if candidate.dense else 0.3,
    )


def _numbers(found: Kinds, candidate: Candidate, scaling: str) -> Any:
    """What is done to numbers, and to what dates have become; None if nothing."""
    made: list[Any] = []
    if candidate.missing:
        made += [Known()] if found.gaps else []
    else:
        # A column without any value in a fold stays: an estimator gets as many columns as it was fitted on.
        made.append(SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True))
    if scaling == "quantile":
        n_quantiles = int(np.clip(found.n_rows // 2, 10, 1000))
        made.append(QuantileTransformer(n_quantiles=n_quantiles, output_distribution="normal"))
    elif scaling == "standard":
        made.append(StandardScaler())
    return make_pipeline(*made) if made else None
