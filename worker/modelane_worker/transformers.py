"""Steps of a published pipeline that scikit-learn does not have.  features → TRANSFORMERS → artefact.

A saved pipeline names them by this module, so that the ``worker`` extra is enough to load it.  A class here
keeps its name and what it has fitted for as long as versions that use it are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    import pandas as pd

_SECONDS_A_DAY = 86_400


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Year, month, weekday (Monday is 0), hour, and days since the column's first date, as numbers.

    Parts that were the same in all of the training are left out: the hour of dates without a time.  A missing
    date has NaN in each.
    """

    parts_: list[list[str]]  #: of each column
    origin_: list[np.datetime64]  #: of each column; what its days are counted from

    def fit(self, frame: pd.DataFrame, targets: object = None) -> Self:
        self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        self.origin_, self.parts_ = [], []
        for values in _dates(frame):
            known = values[~np.isnat(values)]
            self.origin_.append(known.min() if len(known) else np.datetime64(0, "us"))
            parts = _parts(known, self.origin_[-1])
            self.parts_.append([name for name, part in parts.items() if len(part) and np.ptp(part) > 0])
        return self

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        check_is_fitted(self)
        columns = [
            _parts(values, origin)[name]
            for values, origin, names in zip(_dates(frame), self.origin_, self.parts_, strict=True)
            for name in names
        ]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        names = zip(self.feature_names_in_, self.parts_, strict=True)
        return np.asarray([f"{name} {part}" for name, parts in names for part in parts], dtype=object)


class Known(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # as above
    """Numbers with their gaps, without columns of which training had no value: boosting fails on these."""

    known_: NDArray[np.bool_]  #: of each column, whether it stays

    def fit(self, rows: Any, targets: object = None) -> Self:
        self.known_ = np.logical_not(np.isnan(np.asarray(rows, dtype=np.float64)).all(axis=0))
        return self

    def transform(self, rows: Any) -> NDArray[np.float64]:
        check_is_fitted(self)
        numbers = np.asarray(rows, dtype=np.float64)
        return numbers if self.known_.all() else numbers[:, self.known_]


class Words(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # as above
    """One column of text as scikit-learn's vectorizers take it: (n,) strings, a missing one is empty."""

    def fit(self, frame: pd.DataFrame, targets: object = None) -> Self:
        return self

    def transform(self, frame: pd.DataFrame) -> NDArray[Any]:
        texts = frame.iloc[:, 0].to_numpy(dtype=object)
        return np.asarray([text if isinstance(text, str) else "" for text in texts], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _dates(frame: pd.DataFrame) -> list[NDArray[np.datetime64]]:
    return [frame[name].to_numpy(dtype="datetime64[us]") for name in frame.columns]


def _parts(values: NDArray[np.datetime64], origin: np.datetime64) -> dict[str, NDArray[np.float64]]:
    days, months = values.astype("datetime64[D]"), values.astype("datetime64[M]")
    missing = np.isnat(values)

    def number(part: NDArray[Any]) -> NDArray[np.float64]:
        return np.where(missing, np.nan, part.astype(np.float64))

    return {
        "year": number(1970 + months.astype(np.int64) // 12),
        "month": number(1 + months.astype(np.int64) % 12),
        "weekday": number((days.astype(np.int64) + 3) % 7),  # 1970-01-01 was a Thursday
        "hour": number(values.astype("datetime64[h]").astype(np.int64) % 24),
        "days": number((values - origin) / np.timedelta64(_SECONDS_A_DAY, "s")),
    }
