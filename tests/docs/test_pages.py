"""The documentation is right: its code runs as it stands, its commands exist, its tables match the code."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelane import cli, errors
from modelane_training import sources
from modelane_training.recipe import Recipe
from support.pages import PAGES, ROOT, blocks, commands

DEFAULT_URL = "redis://127.0.0.1:6379/0"

#: Pages with code that runs by itself.  Modules of tests, recipes, the tutorial, the Django project and the
#: retraining need more than a worker: each has a test of its own.
PROGRAMS = {
    page: found
    for page in PAGES
    if (
        found := [
            block
            for block in blocks(page)
            if not block.file.startswith(("tests/", "recipes/", "shop.py", "make_data.py", "ask.py"))
            and "client.retrain(" not in block.code
        ]
    )
}


@pytest.fixture(scope="session")
def served(modelane_stack) -> dict[str, str]:
    """Serve the two models of the pages, and return the environment that leads programs to them."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(60, 30))
    modelane_stack.publish(
        "breast-cancer", LogisticRegression().fit(numbers, numbers[:, 0] > 0), numbers[:1].tolist()
    )
    rows = rng.normal(size=(40, 2))
    modelane_stack.publish(
        "churn", LogisticRegression().fit(rows, rows[:, 0] > 0), [{"age": 41.0, "visits": 3.0}]
    )
    return os.environ | modelane_stack.env


@pytest.fixture
def estimator() -> LogisticRegression:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    return LogisticRegression().fit(rows, rows[:, 0] > 0)


def run(*command: str, cwd: Path, env: dict[str, str], timeout_s: float = 60.0) -> str:
    """Return what a program prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_as_it_stands(page: Path, served, tmp_path):
    """One process for a page: each block in a namespace of its own, with a mark after what it prints."""
    url = served["MODELANE_BROKER_URL"]
    program = "".join(
        f"exec(compile({block.code.replace(DEFAULT_URL, url)!r}, {str(block)!r}, 'exec'), "
        "{'__name__': '__main__'})\nprint('\\0', end='')\n"
        for block in PROGRAMS[page]
    )

    printed = run("-c", program, cwd=tmp_path, env=served).split("\0")

    for block, text in zip(PROGRAMS[page], printed, strict=False):
        assert bool(text) == ("print(" in block.code), block


def test_the_test_modules_of_the_page_pass(modelane_stack, modelane_client, estimator):
    without, with_a_stack = (block.code for block in blocks("docs/how-to/test-a-service.md") if block.file)

    exec(without, names := {})
    exec(with_a_stack, stack_names := {})

    names["test_it_answers"]()
    names["test_a_full_lane"]()
    names["client"].close()
    stack_names["test_it_answers"](modelane_stack, modelane_client, estimator)


def test_the_recipe_of_the_page_trains_and_is_promoted(tmp_path):
    (recipe,) = (block for block in blocks("docs/how-to/write-a-recipe.md") if block.file)
    folder = tmp_path / "recipes"
    folder.mkdir()
    (tmp_path / recipe.file).write_text(recipe.code)
    rng = np.random.default_rng(0)
    age, visits = rng.normal(40, 10, 400), rng.poisson(3, 400)
    left = (visits + rng.normal(0, 1, 400) < 2.5).astype(int)
    lines = [f"{a:.1f},{v},{y}" for a, v, y in zip(age, visits, left, strict=True)]
    (folder / "churn.csv").write_text("\n".join(["age,visits,left", *lines]))

    printed = run(
        *("-m", "modelane", "train", "churn"),
        cwd=tmp_path,
        env=os.environ | {"MODELANE_BROKER_URL": "redis://127.0.0.1:1/0"},
    )

    assert "promoted" in printed


def test_the_django_project_of_the_page_answers(served, tmp_path):
    (project,) = blocks("docs/how-to/django.md")
    (tmp_path / project.file).write_text(project.code)
    asked = """
import shop
from django.test import Client

client = Client()
for rows in ([{"age": 41, "visits": 3}], [{"age": 41}]):
    answered = client.post("/predict/churn", {"rows": rows}, content_type="application/json")
    print(answered.status_code, answered.json())
"""

    answered, refused = run("-c", asked, cwd=tmp_path, env=served).splitlines()

    assert answered.startswith("200 {'values': [")
    assert refused.startswith("400 {'error': ")
    assert "visits" in refused


@pytest.mark.parametrize("command", sorted({command for page in PAGES for command in commands(page)}))
def test_a_command_of_a_page_exists_with_its_options(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, *words = shlex.split(command)
    for word in words:
        if re.fullmatch(r"[\w./-]+\.(csv|parquet|jsonl|db)", word):
            Path(word).touch()
        elif word.endswith("/"):
            Path(word).mkdir(parents=True)

    group: click.Command = cli.main
    context = click.Context(group)
    while isinstance(group, click.Group):
        found = group.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r}"
        group, words = found, words[1:]

    group.make_context("modelane", words)  # raises a usage error that names what is wrong


def listed(page: str, heading: str) -> list[str]:
    """Return the first words of the table under a heading."""
    (section,) = re.findall(rf"## {heading}\n(.*?)(?=\n## |\Z)", (ROOT / page).read_text(), re.DOTALL)
    return re.findall(r"^\| `?(\w+)", section, re.MULTILINE)


def test_the_page_lists_every_option_of_a_recipe_in_its_order():
    assert listed("docs/reference/recipe-options.md", "Options")[1:] == [
        field.name for field in fields(Recipe)
    ]


def test_the_page_lists_every_source():
    there = {name for name in sources.__all__ if name[0].islower()}

    assert set(listed("docs/reference/recipe-options.md", "Sources")) - {"source", "a"} == there


def test_the_page_lists_every_error_under_its_branch():
    rows = re.findall(
        r"^\| `(\w+)` \|(?: `(\w+)`)? \|", (ROOT / "docs/reference/errors.md").read_text(), re.MULTILINE
    )

    assert {name for name, _ in rows} == set(errors.__all__)
    for name, branch in rows:
        if branch:
            assert issubclass(getattr(errors, name), getattr(errors, branch))


def test_the_page_lists_every_exit_code():
    told = {int(code) for code in listed("docs/reference/commands.md", "Exit codes") if code.isdigit()}

    assert told == {0, 1, 3, *cli.EXIT_CODES.values(), cli.INTERRUPTED}


def test_every_error_of_the_test_page_exists():
    text = (ROOT / "docs/how-to/test-a-service.md").read_text()

    assert set(re.findall(r"errors\.(\w+)", text)) <= set(errors.__all__)


@pytest.mark.parametrize(
    "folder", re.findall(r"^\| `([\w./-]+/)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
)
def test_every_folder_of_the_map_exists(folder):
    assert (ROOT / folder).is_dir()


def test_the_readme_is_short_enough_to_read():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_modules_and_scripts_on_the_way_of_a_request_exist():
    text = (ROOT / ".github/CONTRIBUTING.md").read_text()
    modules = set(re.findall(r"`(modelane(?:_worker|_training)?(?:\.\w+)+)`", text)) - {"modelane.retrain"}

    assert len(modules) >= 30
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []
    for script in re.findall(r"`(\w+\.lua)`", text):
        assert (ROOT / "producer/modelane/broker/lua" / script).is_file()
