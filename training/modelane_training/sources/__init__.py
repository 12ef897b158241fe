"""Where rows come from.  recipe → SOURCES → check → split.

A source is a function that reads everything anew at each run: a recipe may name one from here or
bring its own.
"""

from __future__ import annotations

from modelane_training.sources.builtin import scikit_learn
from modelane_training.sources.delimited import csv
from modelane_training.sources.source import Source
from modelane_training.table import Table

__all__ = ["Source", "Table", "csv", "scikit_learn"]
