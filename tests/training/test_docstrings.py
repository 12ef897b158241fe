"""The docstrings that become the reference pages: their examples run, and every option is explained."""

from __future__ import annotations

import doctest
import re
from dataclasses import fields
from importlib import import_module

import pytest

from modelane_training.candidate import Candidate
from modelane_training.gate import Gate, Verdict
from modelane_training.recipe import Budget, Recipe

SOURCES = ("builtin", "csv_file", "folder", "json_lines_file", "parquet_file", "sql")
MODULES = ("recipe", "gate", "candidate", "dataset.table", *(f"sources.{name}" for name in SOURCES))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run_as_shown(name):
    failed, attempted = doctest.testmod(import_module(f"modelane_training.{name}"))

    assert attempted
    assert not failed


@pytest.mark.parametrize("of", [Recipe, Budget, Gate, Verdict, Candidate])
def test_every_option_is_explained_in_the_order_of_the_signature(of):
    (section,) = re.findall(r"Attributes:\n(.*?)\n\n", of.__doc__, re.DOTALL)

    assert re.findall(r"^ {8}(\w+): ", section, re.MULTILINE) == [field.name for field in fields(of)]
