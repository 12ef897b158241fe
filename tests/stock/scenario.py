"""The same requests for every broker, and their results; also a program, for the in-memory broker.

That broker exists inside one process, which worker and client therefore share:
``python -m stock.scenario HOME`` prints the results as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from celery import Celery, chain, group
from celery.contrib.testing.worker import start_worker

from stock.caller import LANE, MODEL, Caller, get, refusal


def everything(app: Celery, rows: list[list[float]]) -> dict[str, Any]:
    caller = Caller(app, rows)
    wrong = {
        "width": caller.wrong(),
        "method": caller.predict(method="explain"),
        "argument": caller.predict(colour="red"),
        "too many": caller.predict().clone(args=("more",)),
        "columns": caller.predict(columns=["age"]),
        "text": app.signature("modelane.predict", args=(MODEL, [["much"] * 30]), queue=LANE),
        "no rows": caller.predict(n=0),
        "ordinary": caller.task("fail", "no stock"),
    }
    named = app.signature("modelane.predict", kwargs={"model": MODEL, "rows": rows[:2]}, queue=LANE)
    return {
        "answer": get(caller.predict(n=5).delay()),
        "named": get(named.delay()),
        "probabilities": get(caller.predict(n=3, method="predict_proba").delay()),
        "group": get(group(caller.predict(n) for n in range(5))()),
        "chain": get(chain(caller.predict(n=9), caller.task("positives"))()),
        "later": get(caller.predict().apply_async(countdown=0.3)),
        "retried": get(caller.task("second_time", "done").delay()),
        "errors": {name: _in_words(refusal(request.delay())) for name, request in wrong.items()},
    }


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _in_memory(home: str) -> None:
    from modelane.settings import Settings
    from modelane_worker.celery import build

    rows = json.load(sys.stdin)
    served = build(Settings(home=home, broker_url="memory://"))
    service = Celery("service", broker="memory://", backend="rpc://", set_as_current=False)
    with start_worker(served, pool="threads", perform_ping_check=False, shutdown_timeout=60):
        print(json.dumps(everything(service, rows)))


if __name__ == "__main__":
    import stock.tasks  # noqa: F401  # what --include does

    _in_memory(sys.argv[1])
