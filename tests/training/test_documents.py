"""What docs/recipes.md lists is what there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from modelane_training import sources
from modelane_training.recipe import Recipe

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()


def listed(heading: str) -> list[str]:
    (section,) = re.findall(rf"## {heading}\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
    return re.findall(r"^\| `(\w+)", section, re.MULTILINE)


def test_every_option_of_a_recipe_is_listed_in_its_order():
    assert listed("Options") == [field.name for field in fields(Recipe)]


def test_every_source_is_listed():
    assert set(listed("Where rows come from")) == {name for name in sources.__all__ if name[0].islower()}
