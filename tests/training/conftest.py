"""A trainer in a temporary folder, and recipes written to files."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelane_training.pipeline.run import RunResult, run
from modelane_training.recipe import Recipe
from modelane_training.recipe_loader import load_recipe
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store


@dataclass
class Trainer:
    """Runs recipes; its clock advances by a second per reading, and its runs are numbered."""

    home: Path
    rung: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        self.store = Store(self.home / "models")
        self.key = SigningKey.create(self.home / "keys/signing.pem", self.home / "keys/trusted.pem")
        self.trusted = TrustedKeys.load(self.home / "keys/trusted.pem")

    def run(
        self,
        recipe: Recipe,
        on_step: Callable[[str], None] = lambda step: None,
        *,
        run_id: str | None = None,
        report: bool = False,
    ) -> RunResult:
        def progress(step: str, detail: str) -> None:
            assert detail
            self.said.setdefault(step, []).append(detail)
            if self.steps[-1:] != [step]:  # a step may report several times
                self.steps.append(step)
            on_step(step)

        self.runs += 1
        return run(
            recipe,
            run_id=run_id or f"run {self.runs}",
            store=self.store,
            key=self.key,
            trusted=self.trusted,
            on_promoted=self.rung.append,
            clock=lambda: datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.runs),
            progress=progress,
            report=report,
        )


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path / "home")


HEAD = """
import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import Table, csv, scikit_learn
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe's file into the folder ``recipes``."""

    def write(body: str, name: str = "iris.py") -> Path:
        path = tmp_path / "recipes" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEAD + textwrap.dedent(body))
        return path

    return write


@pytest.fixture
def recipe_from(write: Callable[..., Path]) -> Callable[[str], Recipe]:
    return lambda body: load_recipe(str(write(body)), Path("nowhere"))
