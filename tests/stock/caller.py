"""A service that uses plain Celery: how it requests predictions."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.canvas import Signature
from celery.result import AsyncResult

#: Seconds to wait for an answer, on a busy machine.
ANSWER_S = 60.0
#: A model that is served, its lane, and the queue of ordinary tasks.
MODEL = "breast-cancer"
LANE = f"modelane.predict.{MODEL}"
TASKS = "modelane.tasks"


class Caller:
    def __init__(self, app: Celery, rows: list[list[float]]) -> None:
        self.app = app
        self.rows = rows

    def predict(self, first: int = 0, n: int = 1, **kwargs: Any) -> Signature:
        """Return a request for ``n`` of the rows."""
        args = (MODEL, self.rows[first : first + n])
        return self.app.signature("modelane.predict", args=args, kwargs=kwargs, queue=LANE)

    def wrong(self) -> Signature:
        """Return a request with too few features."""
        return self.app.signature("modelane.predict", args=(MODEL, [[1.0]]), queue=LANE)

    def task(self, name: str, *args: Any, queue: str = TASKS, **options: Any) -> Signature:
        """Return a call of an ordinary task of :mod:`stock.tasks`."""
        return self.app.signature(f"stock.tasks.{name}", args=args, queue=queue, **options)

    def result(self, id_: str) -> AsyncResult:
        return self.app.AsyncResult(id_)


def get(result: AsyncResult) -> Any:
    return result.get(timeout=ANSWER_S)


def refusal(result: AsyncResult) -> Exception:
    """Return the error that ``get`` raises."""
    try:
        answer = get(result)
    except Exception as error:
        return error
    raise AssertionError(f"answered with {answer}")
