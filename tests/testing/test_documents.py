"""README's and docs/testing.md's examples run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelane import errors

ROOT = Path(__file__).parents[2]
ROWS = np.random.default_rng(0).normal(size=(40, 2))


def blocks(path: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def estimator() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, ROWS[:, 0] > 0)


def test_readmes_tests_pass(modelane_stack, modelane_client, estimator):
    without, with_a_stack = (block for block in blocks("README.md") if block.startswith("# tests/"))

    exec(without, names := {})
    exec(with_a_stack, stack_names := {})

    names["test_it_answers"]()
    names["test_a_full_lane"]()
    names["client"].close()
    stack_names["test_it_answers"](modelane_stack, modelane_client, estimator)


def test_the_pages_examples_run(modelane_stack, modelane_client, estimator, capsys):
    without, with_a_stack = blocks("docs/testing.md")

    exec(without, {})
    exec(with_a_stack, names := {"estimator": estimator})

    names["test_it"](modelane_stack, modelane_client)
    assert capsys.readouterr().out == "[ True]\n"


def test_every_way_to_fail_that_the_page_names_is_there():
    text = (ROOT / "docs/testing.md").read_text()

    assert set(re.findall(r"errors\.(\w+)", text)) <= set(errors.__all__)
