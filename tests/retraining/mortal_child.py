"""The process of a run that dies once, at one point, alone or with its trainer.

Which point is told by the model's name: ``trainer-at-fit``, ``run-at-renamed``.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

from modelane import atomic_files
from modelane_training.pipeline import local_run
from modelane_training.pipeline import run as retrain
from modelane_training.pipeline.run import RunResult
from modelane_training.search.parallel_fits import ParallelFits
from modelane_training.trainer import run_child

MARKS = Path(os.environ["MORTAL_MARKS"])


class Fate:
    """What is to happen to the run of one model."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._victim, _, self.point = model.partition("-at-")

    def reached(self, point: str) -> None:
        """Die, if this is the point and it has not happened before."""
        if point != self.point:
            return
        try:
            (MARKS / self._model).touch(exist_ok=False)
        except FileExistsError:
            return
        if self._victim == "run":
            os.kill(os.getpid(), signal.SIGKILL)
        # The parent is the guard; its parent is the trainer.
        guard = Path(f"/proc/{os.getppid()}/stat").read_text()
        os.kill(int(guard.rpartition(")")[2].split()[1]), signal.SIGKILL)
        time.sleep(60)  # the guard ends this one


def main() -> None:
    train, rename, replace, run = local_run.train, Path.rename, atomic_files.replace, retrain.run
    scores = ParallelFits.scores

    def mortal_train(settings: Any, recipe: Any, progress: Any, **options: Any) -> RunResult:
        fate, judged = Fate(recipe.model), list[bool]()

        def mortal_progress(step: str, detail: str) -> None:
            progress(step, detail)
            fate.reached(step)
            if step == "search" and not detail.startswith(("trial 0/", "trial 1/")):
                fate.reached("between-trials")
                judged.append(False)

        def mortal_scores(*arguments: Any) -> Any:
            if any(judged):
                fate.reached("in-a-trial")
            found = scores(*arguments)
            judged[:] = [True for _ in judged]  # some folds of a trial, not of the first two
            return found

        def mortal_rename(path: Path, target: Any) -> Path:
            if path.suffix == ".partial":
                fate.reached("written")
            renamed = rename(path, target)
            if path.suffix == ".partial":
                fate.reached("renamed")
            return renamed

        def mortal_replace(path: Path, data: bytes) -> None:
            replace(path, data)
            if path.name == "aliases.json":
                fate.reached("flipped")

        # A page takes longer than all else, and only who dies of it has to write one.
        retrain.run = partial(run, report=fate.point == "report")
        ParallelFits.scores = mortal_scores  # type: ignore[method-assign]
        Path.rename, atomic_files.replace = mortal_rename, mortal_replace  # type: ignore[method-assign,assignment]
        outcome = train(settings, recipe, mortal_progress, **options)
        fate.reached("ended")
        return outcome

    local_run.train = mortal_train
    run_child.main()


if __name__ == "__main__":
    main()
