"""The plan of a search: what all of its trials have in common."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from optuna.trial import BaseTrial
from sklearn.pipeline import Pipeline

from modelane_training.dataset.table import Table
from modelane_training.evaluation.baseline import baseline
from modelane_training.evaluation.metrics import LOSSES, measure
from modelane_training.random_state import set_random_state
from modelane_training.recipe import Resolved
from modelane_training.search import feature_pipeline
from modelane_training.search.builtin_candidates import candidates_of, data_traits
from modelane_training.search.cv_folds import folds


class SearchPlan:
    """Candidates, features and folds. The same data, recipe and seed give the same plan in any process."""

    def __init__(self, table: Table, recipe: Resolved, seed: int) -> None:
        self.table, self.recipe, self.seed = table, recipe, seed
        self.columns = feature_pipeline.group_columns(table)
        self.folds = folds(table, recipe.task, seed)
        self.traits = data_traits(table, recipe.task, self.columns, self.folds)
        chosen, self.left_out = candidates_of(recipe, self.traits)
        self.candidates = {each.name: each for each in chosen}
        self.less_is_better = recipe.metric in LOSSES

    def sha256(self) -> str:
        """Return a digest of all that trials depend on. Trainers share a search only if it is equal."""
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
        """Return the unfitted pipeline with the parameters that the trial suggests.

        Raises:
            RecipeError: a candidate of the recipe failed to build.
        """
        name = trial.suggest_categorical("candidate", list(self.candidates))
        candidate = self.candidates[name]
        with self.recipe.running(f"candidate {name}"):
            model = candidate.build(trial)
        steps = feature_pipeline.steps(self.columns, candidate, trial, task=self.recipe.task, seed=self.seed)
        return set_random_state(Pipeline([*steps, ("model", model)]), self.seed)

    def first(self) -> list[dict[str, Any]]:
        """Return the first trials: the first parameters of each candidate, then the second ones, etc."""
        rounds = max(len(each.first) for each in self.candidates.values())
        return [
            {"candidate": name, **feature_pipeline.DEFAULTS, **each.first[number]}
            for number in range(rounds)
            for name, each in self.candidates.items()
            if number < len(each.first)
        ]

    def baseline(self) -> float:
        """Return the mean score of a constant prediction on the same folds; NaN if the metric has none."""
        targets, task, metric = self.table.targets, self.recipe.task, self.recipe.metric
        answers = [
            baseline(targets[train], targets[test], task, metric, positive=self.recipe.positive)
            for train, test in self.folds
        ]
        return float(np.mean([measure(each).get(metric, [np.nan])[0] for each in answers]))
