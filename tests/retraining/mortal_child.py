"""The process of a run that is killed once, at one point, alone or with its trainer.

The model's name gives the point: ``trainer-at-fit``, ``run-at-renamed``.
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


class KillPoint:
    """The point at which the run of one model is killed."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._victim, _, self.point = model.partition("-at-")

    def reached(self, point: str) -> None:
        """Kill the run if this is its point and it was not killed before."""
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
        time.sleep(60)  # the guard ends this process


def main() -> None:
    train, rename, replace, run = local_run.train, Path.rename, atomic_files.replace, retrain.run
    scores = ParallelFits.scores

    def mortal_train(settings: Any, recipe: Any, progress: Any, **options: Any) -> RunResult:
        kill_point, judged = KillPoint(recipe.model), list[bool]()

        def mortal_progress(step: str, detail: str) -> None:
            progress(step, detail)
            kill_point.reached(step)
            if step == "search" and not detail.startswith(("trial 0/", "trial 1/")):
                kill_point.reached("between-trials")
                judged.append(False)

        def mortal_scores(*arguments: Any) -> Any:
            if any(judged):
                kill_point.reached("in-a-trial")
            found = scores(*arguments)
            judged[:] = [True for _ in judged]  # after some folds of a trial, except of the first two trials
            return found

        def mortal_rename(path: Path, target: Any) -> Path:
            if path.suffix == ".partial":
                kill_point.reached("written")
            renamed = rename(path, target)
            if path.suffix == ".partial":
                kill_point.reached("renamed")
            return renamed

        def mortal_replace(path: Path, data: bytes) -> None:
            replace(path, data)
            if path.name == "aliases.json":
                kill_point.reached("flipped")

        # A report takes longer than all other steps; only the run that is killed there needs one.
        retrain.run = partial(run, report=kill_point.point == "report")
        ParallelFits.scores = mortal_scores  # type: ignore[method-assign]
        Path.rename, atomic_files.replace = mortal_rename, mortal_replace  # type: ignore[method-assign,assignment]
        outcome = train(settings, recipe, mortal_progress, **options)
        kill_point.reached("ended")
        return outcome

    local_run.train = mortal_train
    run_child.main()


if __name__ == "__main__":
    main()
