"""Fit a pipeline on folds, in processes that can be ended.  search → FITS → scores.

joblib runs them: its own processes on this machine, or what a recipe names (Dask, for data or fits that are
too large for one).  A fit inside C code listens to nobody: one that lasts too long is ended with its process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import cloudpickle
import numpy as np
from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from numpy.typing import NDArray

from modelane.errors import RecipeError, TrainingError
from modelane_training.dataset.table import Table
from modelane_training.evaluation.metrics import measure
from modelane_training.evaluation.predictions import ask
from modelane_training.recipe import Resolved
from modelane_training.search.cv_folds import Fold
from modelane_worker.registry.card import Scalar, Task

#: Idle processes of a finished search end by themselves.
_IDLE_S = 30
_LOOK_S = 1.0


class TooLong(Exception):
    """Fits had to be ended."""


class FitFailed(Exception):
    """An estimator raised, or its process died; the sentence says how."""


@dataclass(frozen=True, slots=True)
class Score:
    value: float
    seconds: float  #: that fit and judgement took


class Fits:
    """A context: processes run while it is open."""

    def __init__(self, table: Table, recipe: Resolved) -> None:
        self._local = recipe.joblib_backend is None
        self._data = (table.matrix(), table.targets)
        parent = os.getpid() if self._local else None
        self._how: dict[str, Any] = {
            "task": recipe.task,
            "metric": recipe.metric,
            "positive": recipe.positive,
            "parent": parent,
        }
        self._backend = recipe.joblib_backend or "loky"
        # One alone could not be ended: joblib then fits in this very process.
        self.n_jobs = max(2, cpu_count()) if self._local else -1
        self._stack = ExitStack()
        self._ready = False

    def __enter__(self) -> Self:
        options = {"idle_worker_timeout": _IDLE_S} if self._local else {}
        try:
            self._stack.enter_context(parallel_config(self._backend, n_jobs=self.n_jobs, **options))
            self._parallel = self._stack.enter_context(Parallel())
        except (ValueError, ImportError) as exc:
            raise RecipeError(f"joblib_backend {self._backend!r}: {exc}") from exc
        self.n_jobs = max(2, effective_n_jobs(self.n_jobs))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def ready(self) -> None:
        """Start the processes, so that no trial is charged with what that takes."""
        if not self._ready:
            self._parallel.timeout = None
            self._parallel(delayed(_follow)(self._how["parent"]) for _ in range(self.n_jobs))
            self._ready = True

    def scores(self, pipeline: Any, folds: Sequence[Fold], limit_s: float) -> list[Score]:
        """One score a fold.

        Raises:
            TooLong: ``limit_s`` was not enough; nothing of it goes on.
            FitFailed: of one of them.
        """
        if limit_s <= 0:
            raise TooLong
        fit, content = delayed(_score), cloudpickle.dumps(pipeline)
        self._parallel.timeout = float("inf")
        # joblib's own limit starts anew with each result; it looks at this attribute all the time.
        limit_s = min(limit_s, threading.TIMEOUT_MAX)
        alarm = threading.Timer(limit_s, setattr, (self._parallel, "timeout", -1.0))
        alarm.daemon = True
        alarm.start()
        try:
            answers = self._parallel(fit(content, *self._data, fold, **self._how) for fold in folds)
        except (TimeoutError, multiprocessing.TimeoutError) as exc:
            self._ready = False
            raise TooLong from exc
        except Exception as exc:  # a process died, or what it should do cannot be sent
            self._ready = False
            raise FitFailed(f"{type(exc).__name__}: {exc}") from exc
        finally:
            alarm.cancel()
        if failed := next((answer for answer in answers if isinstance(answer, str)), ""):
            raise FitFailed(failed)
        return list(answers)


def _score(  # noqa: PLR0913  # it runs elsewhere and knows nothing
    content: bytes,
    rows: Any,
    targets: NDArray[Any],
    fold: Fold,
    *,
    task: Task,
    metric: str,
    positive: Scalar,
    parent: int | None,
) -> Score | str:
    """A fold's score, or why there is none: an error that is raised would end all processes."""
    _follow(parent)
    started = time.perf_counter()
    train, test = fold
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fits that converge badly: their score says so
            pipeline = pickle.loads(content)  # noqa: S301  # from the process that this one works for
            pipeline.fit(_take(rows, train), targets[train])
            answers = ask(pipeline, _take(rows, test), targets[test], task, positive=positive)
            found = measure(answers)
    except TrainingError as exc:
        return str(exc)
    except Exception as exc:  # an estimator may raise anything
        return f"{type(exc).__name__}: {exc}"
    if not np.isfinite(value := found.get(metric, [np.nan])[0]):
        return f"it has no {metric} on these rows, or none without probabilities"
    return Score(float(value), time.perf_counter() - started)


def _take(rows: Any, index: NDArray[np.intp]) -> Any:
    return rows[index] if isinstance(rows, np.ndarray) else rows.iloc[index]


@cache
def _follow(parent: int | None) -> None:
    """End this process when ``parent`` is gone, killed perhaps: nobody waits for a result any more."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True, name="follow-parent").start()
