"""The program of a run's process, started by :mod:`modelane_training.trainer.run_process`.

The process is a new interpreter, not a fork: a recipe cannot harm the trainer, and inherits none of its
threads, connections and OpenMP pools.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from modelane.errors import ModelaneError, RecipeError, TrainingError
from modelane.settings import Settings
from modelane_training.pipeline import local_run
from modelane_training.recipe_loader import load_recipe, recipe_of
from modelane_training.search.trials import Progress
from modelane_training.trainer import run_protocol


def main() -> None:
    """Execute one run and send how it ended to the trainer."""
    orders, messages = _take_pipes()
    order = run_protocol.read_order(orders.readline())

    def progress(step: str, detail: str) -> None:
        messages.write(run_protocol.write(run_protocol.Step(step, detail)))
        if step in run_protocol.NEEDS_PERMISSION and orders.readline() != run_protocol.GO:
            sys.exit("the trainer has ended")

    messages.write(run_protocol.write(_run(order, progress)))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the two pipes away from standard input and output, where the recipe's own code would use them.

    What the recipe prints goes to standard error, which is the trainer's log.
    """
    orders, messages = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return orders, messages


def _run(order: run_protocol.RunOrder, progress: Progress) -> run_protocol.Done | run_protocol.Failed:
    settings = Settings.from_env(os.environ)
    try:
        find = load_recipe if order.foreground else recipe_of
        recipe = find(order.model, Path(settings.recipes))
        if order.help_search:
            n_trials = local_run.help_search(settings, recipe, progress, run_id=order.run_id)
            return run_protocol.Done({"trials": n_trials})
        result = local_run.train(
            settings, recipe, progress, run_id=None if order.foreground else order.run_id
        )
    except ModelaneError as error:
        return run_protocol.Failed(error.code, str(error))
    except SystemExit as exc:
        return run_protocol.Failed(
            RecipeError.__name__,
            f"the recipe of {order.model} called exit({exc.code!r}): a recipe must not end its process",
        )
    except Exception as exc:  # a bug of Modelane, or no memory left
        traceback.print_exc()
        return run_protocol.Failed(TrainingError.__name__, f"{type(exc).__name__}: {exc}")
    return run_protocol.Done(
        {
            "model": result.model,
            "version": result.version,
            "promoted": result.verdict.promote,
            "reason": result.verdict.reason,
            "metrics": result.metrics,
            "champion": result.champion,
            "champion_metrics": result.champion_metrics,
        }
    )


if __name__ == "__main__":
    main()
