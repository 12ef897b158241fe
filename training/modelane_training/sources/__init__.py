"""Where rows come from.  recipe → SOURCES → columns → check → split.

A source is a function that reads everything anew at each run: a recipe may name one from here or
bring its own.
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
