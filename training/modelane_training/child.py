"""The process of one run: ``python -m modelane_training.child``, started by :mod:`modelane_training.process`.

A process of its own, started anew: a recipe may do what it likes to it, and nothing of the trainer's threads,
connections and OpenMP pools is inherited.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import BinaryIO

from modelane.errors import ModelaneError, RecipeError, TrainingError
from modelane.settings import Settings
from modelane_training import retrain, talk, trainer
from modelane_training.recipe import load_recipe, recipe_of


def _private_ends() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of the two pipes, where no recipe finds them: its prints go to the trainer's log."""
    asked, said = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return asked, said


def main() -> None:
    """One run; its end is said, not raised."""
    asked, said = _private_ends()
    order = talk.read_order(asked.readline())

    def progress(step: str, detail: str) -> None:
        said.write(talk.write(talk.Step(step, detail)))
        if step in talk.ASKING and asked.readline() != talk.GO:
            sys.exit("the trainer has gone")

    said.write(talk.write(_run(order, progress)))


def _run(order: talk.Order, progress: retrain.Progress) -> talk.Done | talk.Failed:
    settings = Settings.from_env(os.environ)
    try:
        find = load_recipe if order.by_hand else recipe_of
        recipe = find(order.model, Path(settings.recipes))
        if order.helps:
            return talk.Done({"trials": trainer.assist(settings, recipe, progress, run_id=order.run_id)})
        outcome = trainer.train(settings, recipe, progress, run_id=None if order.by_hand else order.run_id)
    except ModelaneError as error:
        return talk.Failed(error.code, str(error))
    except SystemExit as exc:
        return talk.Failed(
            RecipeError.__name__, f"the recipe of {order.model} ends the process: exit({exc.code!r})"
        )
    except Exception as exc:  # a fault of ours, or memory that ran out
        traceback.print_exc()
        return talk.Failed(TrainingError.__name__, f"{type(exc).__name__}: {exc}")
    return talk.Done(
        {
            "model": outcome.model,
            "version": outcome.version,
            "promoted": outcome.verdict.promote,
            "reason": outcome.verdict.reason,
            "metrics": outcome.metrics,
            "champion": outcome.champion,
            "champion_metrics": outcome.champion_metrics,
        }
    )


if __name__ == "__main__":
    main()
