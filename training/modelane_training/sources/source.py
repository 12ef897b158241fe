"""What a recipe's source is."""

from __future__ import annotations

from collections.abc import Callable

from modelane_training.table import Table

#: Reads the data; its argument is the name of the recipe's target.
Source = Callable[[str], Table]
