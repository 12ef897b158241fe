"""Call a source and turn what a recipe's own function returns into columns."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from modelane.errors import RecipeError
from modelane_training.dataset.raw import Raw
from modelane_training.dataset.table import Table
from modelane_training.sources.json_lines_file import frame_of
from modelane_training.sources.source import Source


def read(source: Source, target: str) -> Raw | Table:
    """Call a source and return its columns.

    Args:
        source: any :data:`~modelane_training.sources.Source`.
        target: the name of the recipe's target; passed on if the source takes an argument, and given to the
            targets if the source returns them beside the rows.

    Raises:
        RecipeError: the source returned something that is not a table.
        Exception: what the source itself raises.
    """
    returned = source(target) if _takes_an_argument(source) else source()
    if isinstance(returned, Raw | Table):
        return returned
    name = getattr(source, "__name__", type(source).__name__)
    where = "a function of the recipe" if name == "<lambda>" else f"the function {name}"
    return Raw(name=where, frame=_frame(returned, target), missing=frozenset({""}))


def _takes_an_argument(source: Source) -> bool:
    try:
        inspect.signature(source).bind()
    except TypeError:
        return True
    except ValueError:  # a function written in C may have no signature
        return False
    return False


def _frame(returned: Any, target: str) -> pd.DataFrame:
    if isinstance(returned, tuple) and len(returned) == 2:
        rows, targets = returned
        frame = _columns(np.asarray(rows) if isinstance(rows, list) else rows)
        if target in frame.columns:
            raise RecipeError(
                f"the source returned a tuple of rows and targets, but the rows have a column {target!r} "
                "too: return only the rows, or remove that column"
            )
        values = np.asarray(targets)
        if values.shape != (len(frame),):
            raise RecipeError(
                f"the source returned {len(frame)} rows and targets of shape {values.shape}: "
                f"expected one target per row, shape ({len(frame)},)"
            )
        return frame.assign(**{target: values})
    return _columns(returned)


def _columns(returned: Any) -> pd.DataFrame:
    if hasattr(returned, "to_pandas"):  # polars, Arrow
        returned = returned.to_pandas()
    if isinstance(returned, pd.DataFrame):
        return returned.reset_index(drop=True)
    if isinstance(returned, np.ndarray) and returned.ndim == 2:
        return pd.DataFrame(returned, columns=[f"x{number}" for number in range(returned.shape[1])])
    if isinstance(returned, Mapping):
        return pd.DataFrame(dict(returned))
    if isinstance(returned, Iterable) and not isinstance(returned, str | bytes):
        records = list(returned)
        if all(isinstance(record, Mapping) for record in records):
            return frame_of([dict(record) for record in records])
    raise RecipeError(
        f"the source returned an object of type {type(returned).__name__}: "
        "expected a DataFrame, a list of records (dicts), a dict of columns, or a tuple of rows and targets"
    )
