"""A Flask service that predicts, and maps each kind of error to an HTTP status.

Start a stack (`modelane up` prints its broker URL), run the service, and send it a request:

    MODELANE_BROKER_URL=redis://localhost:6379/0 flask --app examples/flask_service.py run
    curl localhost:5000/churn -H 'content-type: application/json' -d '{"rows": [{"age": 41, "visits": 3}]}'

All threads share one client, and so do all processes that are forked from this one.
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


@app.errorhandler(RequestError)  # the request is wrong: the message says what the model expects
def bad_request(error: RequestError) -> ResponseReturnValue:
    return {"error": str(error)}, 400


@app.errorhandler(TryLater)  # the lane is full, or Redis is unavailable
def busy(error: TryLater) -> ResponseReturnValue:
    seconds = math.ceil(getattr(error, "retry_after_s", 1.0))
    return {"error": str(error)}, 429, {"Retry-After": str(seconds)}


@app.errorhandler(NotAnswered)  # no worker answered in time
def timed_out(error: NotAnswered) -> ResponseReturnValue:
    return {"error": str(error)}, 504


@app.errorhandler(PredictionFailed)  # the model raised an error
def failed(error: PredictionFailed) -> ResponseReturnValue:
    return {"error": str(error)}, 502
