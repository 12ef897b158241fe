"""Fit a pipeline on several folds in parallel, in processes that can be killed.

joblib runs the fits, in its own processes on this machine or on the backend that a recipe names, such as
Dask. A fit inside C code does not react to signals, so a fit that takes too long is killed with its process.
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
from modelane_training.evaluation.predictions import predict
from modelane_training.recipe import Resolved
from modelane_training.search.cv_folds import Fold
from modelane_worker.registry.card import Scalar, Task

#: Seconds after which the idle processes of a finished search end by themselves.
_IDLE_S = 30
#: Seconds between two checks whether the parent process is still there.
_CHECK_S = 1.0


class FitTimeout(Exception):
    """The fits exceeded their time limit and were killed."""


class FitFailed(Exception):
    """An estimator raised an error, or its process ended."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one fold."""

    value: float
    seconds: float  #: that fitting and scoring took


class ParallelFits:
    """A context manager that keeps the processes running while it is open."""

    def __init__(self, table: Table, recipe: Resolved) -> None:
        self._local = recipe.joblib_backend is None
        self._data = (table.matrix(), table.targets)
        parent = os.getpid() if self._local else None
        self._options: dict[str, Any] = {
            "task": recipe.task,
            "metric": recipe.metric,
            "positive": recipe.positive,
            "parent": parent,
        }
        self._backend = recipe.joblib_backend or "loky"
        # With one job, joblib fits in this process, where the fit could not be killed.
        self.n_jobs = max(2, cpu_count()) if self._local else -1
        self._stack = ExitStack()
        self._ready = False

    def __enter__(self) -> Self:
        options = {"idle_worker_timeout": _IDLE_S} if self._local else {}
        try:
            self._stack.enter_context(parallel_config(self._backend, n_jobs=self.n_jobs, **options))
            self._parallel = self._stack.enter_context(Parallel())
        except (ValueError, ImportError) as exc:
            raise RecipeError(f"joblib_backend {self._backend!r} cannot be used: {exc}") from exc
        self.n_jobs = max(2, effective_n_jobs(self.n_jobs))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def ready(self) -> None:
        """Start the processes, so that their start does not count as time of the next trial."""
        if not self._ready:
            self._parallel.timeout = None
            self._parallel(delayed(_end_with)(self._options["parent"]) for _ in range(self.n_jobs))
            self._ready = True

    def scores(self, pipeline: Any, folds: Sequence[Fold], limit_s: float) -> list[Score]:
        """Return the score of each fold.

        Raises:
            FitTimeout: the fits took more than ``limit_s`` seconds; they were killed.
            FitFailed: at least one of the fits failed.
        """
        if limit_s <= 0:
            raise FitTimeout
        fit, content = delayed(_score), cloudpickle.dumps(pipeline)
        self._parallel.timeout = float("inf")
        # joblib's own timeout restarts with each result. joblib polls this attribute, so it can be set while
        # the fits run.
        limit_s = min(limit_s, threading.TIMEOUT_MAX)
        timer = threading.Timer(limit_s, setattr, (self._parallel, "timeout", -1.0))
        timer.daemon = True
        timer.start()
        try:
            results = self._parallel(fit(content, *self._data, fold, **self._options) for fold in folds)
        except (TimeoutError, multiprocessing.TimeoutError) as exc:
            self._ready = False
            raise FitTimeout from exc
        except Exception as exc:  # a process has ended, or its task cannot be pickled
            self._ready = False
            raise FitFailed(f"{type(exc).__name__}: {exc}") from exc
        finally:
            timer.cancel()
        if failed := next((result for result in results if isinstance(result, str)), ""):
            raise FitFailed(failed)
        return list(results)


def _score(  # noqa: PLR0913  # it runs in another process
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
    """Return the score of a fold, or an error message: joblib ends all processes if a task raises."""
    _end_with(parent)
    started = time.perf_counter()
    train, test = fold
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fits that do not converge show in their score
            pipeline = pickle.loads(content)  # noqa: S301  # from the process that started this one
            pipeline.fit(_take(rows, train), targets[train])
            answers = predict(pipeline, _take(rows, test), targets[test], task, positive=positive)
            found = measure(answers)
    except TrainingError as exc:
        return str(exc)
    except Exception as exc:  # an estimator may raise anything
        return f"{type(exc).__name__}: {exc}"
    if not np.isfinite(value := found.get(metric, [np.nan])[0]):
        return f"{metric} cannot be computed on these rows, or the estimator gives no probabilities"
    return Score(float(value), time.perf_counter() - started)


def _take(rows: Any, index: NDArray[np.intp]) -> Any:
    return rows[index] if isinstance(rows, np.ndarray) else rows.iloc[index]


@cache
def _end_with(parent: int | None) -> None:
    """End this process when ``parent`` has ended, even if the parent was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_CHECK_S)
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True, name="watch-parent").start()
