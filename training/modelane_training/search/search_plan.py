"""What the trials of one search have in common.  recipe, features, candidates, folds → PLAN → search."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from modelane_training.dataset.table import Table
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.metrics import LOSSES, measure
from modelane_training.recipe import Resolved, seeded
from modelane_training.search import feature_pipeline
from modelane_training.search.builtin_candidates import about, candidates_of
from modelane_training.search.cv_folds import folds


class Plan:
    """The same data, recipe and seed make the same plan, wherever it is made."""

    def __init__(self, table: Table, recipe: Resolved, seed: int) -> None:
        self.table, self.recipe, self.seed = table, recipe, seed
        self.kinds = feature_pipeline.kinds(table)
        self.folds = folds(table, recipe.task, seed)
        self.about = about(table, recipe.task, self.kinds, self.folds)
        chosen, self.left_out = candidates_of(recipe, self.about)
        self.candidates = {each.name: each for each in chosen}
        self.less_is_better = recipe.metric in LOSSES

    def sha256(self) -> str:
        """Of all that a trial depends on; trainers whose plans differ do not help each other."""
        facts = (
            self.table.sha256(),
            self.recipe.task,
            self.recipe.metric,
            self.recipe.positive,
            sorted(self.candidates),
            self.seed,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def pipeline(self, trial: BaseTrial) -> Pipeline:
        """An unfitted pipeline, as the trial has it."""
        name = trial.suggest_categorical("candidate", list(self.candidates))
        candidate = self.candidates[name]
        with self.recipe.running(f"candidate {name}"):
            model = candidate.build(trial)
        steps = feature_pipeline.steps(self.kinds, candidate, trial, task=self.recipe.task, seed=self.seed)
        return seeded(Pipeline([*steps, ("model", model)]), self.seed)

    def first(self) -> list[dict[str, Any]]:
        """Trials to begin with: each candidate's first, then each one's second, and so on."""
        rounds = max(len(each.first) for each in self.candidates.values())
        return [
            {"candidate": name, **feature_pipeline.DEFAULTS, **each.first[number]}
            for number in range(rounds)
            for name, each in self.candidates.items()
            if number < len(each.first)
        ]

    def baseline(self) -> float:
        """What an estimator reaches that never looks at a row, on the same folds; NaN if it has no score."""
        targets, task, metric = self.table.targets, self.recipe.task, self.recipe.metric
        answers = [
            baseline(targets[train], targets[test], task, metric, positive=self.recipe.positive)
            for train, test in self.folds
        ]
        return float(np.mean([measure(each).get(metric, [np.nan])[0] for each in answers]))
