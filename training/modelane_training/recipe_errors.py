"""Errors of the code that a recipe brings: its source, its estimator and its candidates."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from optuna import TrialPruned

from modelane.errors import ModelaneError, RecipeError

#: A recipe is run as a module whose name is this and a digest. The prefix shows which lines of a traceback,
#: and which classes of a saved estimator, are from a recipe.
MODULE_PREFIX = "_modelane_recipe_"


@contextmanager
def recipe_errors(part: str, model: str) -> Iterator[None]:
    """Turn what the code of a recipe raises into an error that names the part and the line of the recipe.

    Args:
        part: what runs, such as ``source``.
        model: the recipe's model.

    Raises:
        RecipeError: the code raised an error of its own. Errors of Modelane, and optuna's ``TrialPruned``,
            are raised as they are.
    """
    try:
        yield
    except (ModelaneError, TrialPruned):
        raise
    except Exception as exc:  # the code of a recipe may raise anything
        raise RecipeError(f"the {part} of {model} failed: {error_with_line(exc)}") from exc


def error_with_line(exc: BaseException) -> str:
    """Return the type and message of an error, and the line of the recipe that it came from, if any."""
    lines = [
        line
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(MODULE_PREFIX)
    ]
    return f"{type(exc).__name__}: {exc}" + (f" (line {lines[-1]})" if lines else "")
