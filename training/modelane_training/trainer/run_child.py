"""The process of one run, started by :mod:`modelane_training.trainer.run_process`.

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
from modelane_training.pipeline import local_run, run
from modelane_training.recipe_loader import load_recipe, recipe_of
from modelane_training.trainer import run_protocol


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
    order = run_protocol.read_order(asked.readline())

    def progress(step: str, detail: str) -> None:
        said.write(run_protocol.write(run_protocol.Step(step, detail)))
        if step in run_protocol.ASKING and asked.readline() != run_protocol.GO:
            sys.exit("the trainer has gone")

    said.write(run_protocol.write(_run(order, progress)))


def _run(order: run_protocol.Order, progress: run.Progress) -> run_protocol.Done | run_protocol.Failed:
    settings = Settings.from_env(os.environ)
    try:
        find = load_recipe if order.by_hand else recipe_of
        recipe = find(order.model, Path(settings.recipes))
        if order.helps:
            return run_protocol.Done(
                {"trials": local_run.assist(settings, recipe, progress, run_id=order.run_id)}
            )
        outcome = local_run.train(settings, recipe, progress, run_id=None if order.by_hand else order.run_id)
    except ModelaneError as error:
        return run_protocol.Failed(error.code, str(error))
    except SystemExit as exc:
        return run_protocol.Failed(
            RecipeError.__name__, f"the recipe of {order.model} ends the process: exit({exc.code!r})"
        )
    except Exception as exc:  # a fault of ours, or memory that ran out
        traceback.print_exc()
        return run_protocol.Failed(TrainingError.__name__, f"{type(exc).__name__}: {exc}")
    return run_protocol.Done(
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
