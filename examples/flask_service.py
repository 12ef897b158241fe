"""The same service in Flask.

    MODELANE_BROKER_URL=redis://… flask --app examples/flask_service.py run
    curl localhost:5000/churn -H 'content-type: application/json' -d '{"rows": [{"age": 41, "visits": 3}]}'

One client serves all threads, and all processes that are forked from this one.
"""

import math
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from modelane import Client, NotAnswered, PredictionFailed, RequestError, TryLater

app = Flask(__name__)
client = Client(timeout_s=5.0)  # connects with the first request


@app.post("/<model>")
def predict(model: str) -> dict[str, Any]:
    body = request.get_json()
    answer = client.predict(model, body.get("rows") if isinstance(body, dict) else body)
    return {"values": answer.values.tolist(), "version": answer.version}


@app.errorhandler(RequestError)
def refused(error: RequestError) -> ResponseReturnValue:
    return {"error": str(error)}, 400


@app.errorhandler(TryLater)
def busy(error: TryLater) -> ResponseReturnValue:
    seconds = math.ceil(getattr(error, "retry_after_s", 1.0))
    return {"error": str(error)}, 429, {"Retry-After": str(seconds)}


@app.errorhandler(NotAnswered)
def late(error: NotAnswered) -> ResponseReturnValue:
    return {"error": str(error)}, 504


@app.errorhandler(PredictionFailed)
def failed(error: PredictionFailed) -> ResponseReturnValue:
    return {"error": str(error)}, 502
