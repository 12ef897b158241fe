"""A FastAPI service that awaits predictions, and maps each kind of error to an HTTP status.

Start a stack (`modelane up` prints its broker URL), run the service, and send it a request:

    MODELANE_BROKER_URL=redis://localhost:6379/0 uvicorn --app-dir examples fastapi_service:app
    curl localhost:8000/churn -H 'content-type: application/json' -d '{"rows": [{"age": 41, "visits": 3}]}'

Handlers never block the event loop: `submit` returns immediately, and its future is awaited.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from modelane import Client, NotAnswered, PredictionFailed, RequestError, TryLater


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with Client(timeout_s=5.0) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


class PredictBody(BaseModel):
    rows: list[dict[str, Any]]


@app.post("/{model}")
async def predict(model: str, body: PredictBody, request: Request) -> dict[str, Any]:
    answer = await request.app.state.client.submit(model, body.rows)
    return {"values": answer.values.tolist(), "version": answer.version}


@app.exception_handler(RequestError)  # the request is wrong: the message says what the model expects
async def bad_request(_: Request, error: RequestError) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


@app.exception_handler(TryLater)  # the lane is full, or Redis is unavailable
async def busy(_: Request, error: TryLater) -> JSONResponse:
    seconds = math.ceil(getattr(error, "retry_after_s", 1.0))
    return JSONResponse({"error": str(error)}, status_code=429, headers={"Retry-After": str(seconds)})


@app.exception_handler(NotAnswered)  # no worker answered in time
async def timed_out(_: Request, error: NotAnswered) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=504)


@app.exception_handler(PredictionFailed)  # the model raised an error
async def failed(_: Request, error: PredictionFailed) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=502)
