"""What a recipe's source is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelane_training.dataset.raw import Raw

#: Reads the data anew; takes the name of the recipe's target, or nothing.  Gives a :class:`Raw`, a
#: :class:`~modelane_training.dataset.table.Table`, a DataFrame, a list of records, or rows and targets.
Source = Callable[..., Any]

#: The sources that come with Modelane and take no target.
Reader = Callable[[], Raw]
