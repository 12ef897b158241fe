"""The DataFrame that an estimator is fitted on and predicts from: the same in training and in serving.

Strings are ``object`` columns, independent of the default string dtype of pandas: a model that was fitted
with one release of pandas is served with another. pandas is imported when the first frame is made, so that
workers that serve only numeric models never load it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from modelane.data.features import Feature
from modelane.errors import BadInput
from modelane_worker.inference import typed_columns
from modelane_worker.inference.typed_columns import Values

if TYPE_CHECKING:
    import pandas as pd


def frame(columns: Mapping[str, Values], features: Sequence[Feature]) -> pd.DataFrame:
    """Convert columns to their features' types and make a DataFrame of them.

    Args:
        columns: The values of each feature, shape (n,): numbers, booleans, strings, dates or objects. Columns
            that are not a feature are ignored.
        features: Which columns to take, in which order.

    Raises:
        BadInput: A column is missing, or a value does not fit its column.
    """
    if missing := [feature.name for feature in features if feature.name not in columns]:
        raise BadInput(f"no column {missing[0]!r:.60}")
    return assemble(
        {feature.name: typed_columns.convert(columns[feature.name], feature) for feature in features}
    )


def assemble(columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Make a DataFrame of columns that :func:`typed_columns.convert` returned, in their order."""
    import pandas as pd  # noqa: PLC0415  # see the module's docstring

    index = pd.RangeIndex(len(next(iter(columns.values()), ())))
    # pandas infers its own string dtype from an array of strings, but keeps the dtype of a Series.
    series = [
        pd.Series(array, dtype=object, index=index) if array.dtype == object else array
        for array in columns.values()
    ]
    made = pd.DataFrame(dict(enumerate(series)), index=index)
    made.columns = pd.Index(list(columns), dtype=object)
    return made
