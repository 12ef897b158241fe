"""Pipeline steps of published models that scikit-learn does not have.

Saved pipelines refer to these classes by this module's path, so the ``worker`` extra is enough to load them.
Do not rename a class or a fitted attribute while versions that use it are served.
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
    """Turn dates into numbers: year, month, weekday (Monday is 0), hour, and days since the first date.

    Parts that are equal for all dates of the training data are left out, such as the hour of dates without a
    time. All parts of a missing date are NaN.

    Attributes:
        feature_names_in_: Names of the columns, shape (n_columns,).
        parts_: The names of the parts of each column.
        origin_: The first date of each column, from which its days are counted.
    """

    parts_: list[list[str]]
    origin_: list[np.datetime64]

    def fit(self, frame: pd.DataFrame, targets: object = None) -> Self:
        """Find the first date of each column, and the parts that differ between its dates.

        Args:
            frame: Columns of datetime64[us], shape (n_rows, n_columns); a missing date is NaT.
            targets: Ignored.

        Returns:
            The fitted transformer.
        """
        self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        self.origin_, self.parts_ = [], []
        for values in _dates(frame):
            known = values[~np.isnat(values)]
            self.origin_.append(known.min() if len(known) else np.datetime64(0, "us"))
            parts = _parts(known, self.origin_[-1])
            self.parts_.append([name for name, part in parts.items() if len(part) and np.ptp(part) > 0])
        return self

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Return the parts of all columns.

        Args:
            frame: The columns that it was fitted on, shape (n_rows, n_columns).

        Returns:
            float64, shape (n_rows, number of parts): the parts of the first column, then of the second, and
            so on.
        """
        check_is_fitted(self)
        columns = [
            _parts(values, origin)[name]
            for values, origin, names in zip(_dates(frame), self.origin_, self.parts_, strict=True)
            for name in names
        ]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the output columns, such as ``joined month``.

        Args:
            input_features: Ignored; scikit-learn passes it.

        Returns:
            Objects of str, shape (number of parts,).
        """
        names = zip(self.feature_names_in_, self.parts_, strict=True)
        return np.asarray([f"{name} {part}" for name, parts in names for part in parts], dtype=object)


class Known(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # as above
    """Drop the columns that have no value at all in the training data; gradient boosting fails on them.

    Missing values of other columns stay missing.

    Attributes:
        known_: Whether each column is kept, shape (n_columns,).
    """

    known_: NDArray[np.bool_]

    def fit(self, rows: Any, targets: object = None) -> Self:
        """Find the columns that have a value.

        Args:
            rows: Numbers, shape (n_rows, n_columns); a missing value is NaN.
            targets: Ignored.

        Returns:
            The fitted transformer.
        """
        self.known_ = np.logical_not(np.isnan(np.asarray(rows, dtype=np.float64)).all(axis=0))
        return self

    def transform(self, rows: Any) -> NDArray[np.float64]:
        """Return the columns that had a value in the training data.

        Args:
            rows: Numbers, shape (n_rows, n_columns).

        Returns:
            float64, shape (n_rows, number of kept columns).
        """
        check_is_fitted(self)
        numbers = np.asarray(rows, dtype=np.float64)
        return numbers if self.known_.all() else numbers[:, self.known_]


class Words(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # as above
    """Turn a column of text into the array of strings that scikit-learn's vectorizers take."""

    def fit(self, frame: pd.DataFrame, targets: object = None) -> Self:
        """Return the transformer; there is nothing to fit.

        Args:
            frame: One column of strings, shape (n_rows, 1).
            targets: Ignored.
        """
        return self

    def transform(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Return the strings of the first column.

        Args:
            frame: One column of strings, shape (n_rows, 1); a missing value may be None or NaN.

        Returns:
            Objects of str, shape (n_rows,); a missing value becomes the empty string.
        """
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
