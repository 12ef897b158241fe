"""Models that both implementations serve; a worker imports them from here."""

from __future__ import annotations

import numpy as np


class Sums:
    """Returns the sum of each row; rejects negative values, and knows its column names."""

    feature_names_in_ = np.asarray(["a", "b", "c"], dtype=object)
    n_features_in_ = 3

    def predict(self, rows, factor=1.0):
        if (rows < 0).any():
            raise ValueError("a number is negative")
        return rows.sum(axis=1) * factor

    def transform(self, rows):
        return rows * 2


class Short:
    """Returns one output too few for several rows."""

    def predict(self, rows):
        return np.zeros(max(1, len(rows) - 1))


class Labels:
    """Returns a label for each row: whether its sum is large."""

    classes_ = np.asarray(["large", "small"])

    def predict(self, rows):
        return np.where(rows.sum(axis=1) > 10, "large", "small")

    def predict_proba(self, rows):
        large = (rows.sum(axis=1) > 10).astype(float)
        return np.column_stack([large, 1 - large])


class Customers:
    """Returns the text, date and number of each row as it received them."""

    def predict(self, frame):
        told = zip(frame["city"], frame["since"], frame["age"], strict=True)
        return np.asarray([f"{city} since {since.year}, {age} years" for city, since, age in told])
