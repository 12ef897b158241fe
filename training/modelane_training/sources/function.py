"""What a recipe's own function gives, as columns."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from modelane.errors import RecipeError
from modelane_training.dataset.raw import Raw
from modelane_training.dataset.table import Table
from modelane_training.sources.json_lines_file import columns_of
from modelane_training.sources.source import Source


def read(source: Source, target: str) -> Raw | Table:
    """Call a source, with the target's name if it takes one.

    Raises:
        RecipeError: what it gave is not tabular; whatever the function itself raises.
    """
    given = source(target) if _needs_an_argument(source) else source()
    if isinstance(given, Raw | Table):
        return given
    name = getattr(source, "__name__", type(source).__name__)
    words = "a function of the recipe" if name == "<lambda>" else f"the function {name}"
    return Raw(name=words, frame=_frame(given, target), missing=frozenset({""}))


def _needs_an_argument(source: Source) -> bool:
    try:
        inspect.signature(source).bind()
    except TypeError:
        return True
    except ValueError:  # one written in C does not say
        return False
    return False


def _frame(given: Any, target: str) -> pd.DataFrame:
    if isinstance(given, tuple) and len(given) == 2:
        rows, targets = given
        frame = _columns(np.asarray(rows) if isinstance(rows, list) else rows)
        if target in frame.columns:
            raise RecipeError(f"the source gave rows with a column {target!r}, and targets beside them")
        values = np.asarray(targets)
        if values.shape != (len(frame),):
            raise RecipeError(f"the source gave {len(frame)} rows and targets of shape {values.shape}")
        return frame.assign(**{target: values})
    return _columns(given)


def _columns(given: Any) -> pd.DataFrame:
    if hasattr(given, "to_pandas"):  # polars, Arrow
        given = given.to_pandas()
    if isinstance(given, pd.DataFrame):
        return given.reset_index(drop=True)
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return pd.DataFrame(given, columns=[f"x{number}" for number in range(given.shape[1])])
    if isinstance(given, Mapping):
        return pd.DataFrame(dict(given))
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        records = list(given)
        if all(isinstance(record, Mapping) for record in records):
            return columns_of([dict(record) for record in records])
    raise RecipeError(
        f"the source gave a {type(given).__name__}; expected a DataFrame, a list of records, "
        "or a tuple of rows and targets"
    )
