"""Sources: functions that read the rows that a model is trained on.

A recipe names one source. Each run calls it again, so a model is always trained on current data::

    from pathlib import Path
    from modelane_training.recipe import Recipe
    from modelane_training.sources import csv

    recipe = Recipe(model="churn", source=csv(Path(__file__).with_name("churn.csv")), target="left")

A function of the recipe's own is a source too; :data:`Source` says what it may return.
"""

from __future__ import annotations

from modelane_training.dataset.raw import Raw
from modelane_training.dataset.table import Table
from modelane_training.sources.builtin import scikit_learn
from modelane_training.sources.csv_file import csv
from modelane_training.sources.folder import folder
from modelane_training.sources.json_lines_file import json_lines
from modelane_training.sources.parquet_file import parquet
from modelane_training.sources.source import Source
from modelane_training.sources.sql import sql

__all__ = ["Raw", "Source", "Table", "csv", "folder", "json_lines", "parquet", "scikit_learn", "sql"]
