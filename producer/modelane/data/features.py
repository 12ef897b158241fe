"""The columns that a model takes: the name and the type of each.

The model card stores them, workers announce them in Redis, and every reader of rows converts values to them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
import numpy as np


class ColumnType(StrEnum):
    """What a column holds. The value is the dtype by which cards and announcements name it."""

    NUMBER = "float64"  #: numbers and booleans; a missing value is NaN
    STRING = "str"  #: categories and free text, in an object array; a missing value is NaN
    DATE = "datetime64[us]"  #: dates and times in UTC, without a time zone; a missing value is NaT

    @classmethod
    def named(cls, dtype: str) -> ColumnType:
        """Return the type that a card means by ``dtype``.

        Cards of early trainers name numbers by other dtypes, such as ``int64``: every unknown name is a
        number.
        """
        return _BY_NAME.get(dtype, cls.NUMBER)

    @classmethod
    def of_array(cls, dtype: Any) -> ColumnType:
        """Return the type of a column whose values have this numpy or pandas dtype."""
        if dtype.kind == "M":
            return cls.DATE
        return cls.NUMBER if dtype.kind in "biuf" else cls.STRING

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of an array of such values."""
        return np.dtype(object) if self is ColumnType.STRING else np.dtype(self.value)


_BY_NAME = {each.value: each for each in ColumnType}


class Feature(msgspec.Struct, frozen=True):
    """A column that a model takes.

    Attributes:
        name: Its name in requests.
        dtype: The value of its :class:`ColumnType`, or a name that :meth:`ColumnType.named` knows.
    """

    name: str
    dtype: str

    @property
    def type(self) -> ColumnType:
        return ColumnType.named(self.dtype)
