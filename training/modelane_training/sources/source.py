"""The types of a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelane_training.dataset.raw import Raw

#: A function that reads the data at each run. It is called without arguments, or with the name of the
#: recipe's target if it takes one. It returns a DataFrame of pandas, polars or Arrow, a list of records (one
#: dict per row), a dict of columns, a tuple of rows and targets, a :class:`Raw` or a :class:`Table`.
Source = Callable[..., Any]

#: The sources of this package that take no argument.
Reader = Callable[[], Raw]
