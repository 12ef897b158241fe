"""A FastAPI service, whose handlers await predictions.

    MODELANE_BROKER_URL=redis://… uvicorn --app-dir examples fastapi_service:app
    curl localhost:8000/churn -H 'content-type: application/json' -d '{"rows": [{"age": 41, "visits": 3}]}'

Each kind of error gets the status that says what to do.
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


class Asked(BaseModel):
    rows: list[dict[str, Any]]


@app.post("/{model}")
async def predict(model: str, asked: Asked, request: Request) -> dict[str, Any]:
    answer = await request.app.state.client.submit(model, asked.rows)
    return {"values": answer.values.tolist(), "version": answer.version}


@app.exception_handler(RequestError)  # what was sent is wrong: the sentence says what the model takes
async def refused(_: Request, error: RequestError) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=400)


@app.exception_handler(TryLater)  # the lane is full, or Redis is away: nothing is wrong with the request
async def busy(_: Request, error: TryLater) -> JSONResponse:
    seconds = math.ceil(getattr(error, "retry_after_s", 1.0))
    return JSONResponse({"error": str(error)}, status_code=429, headers={"Retry-After": str(seconds)})


@app.exception_handler(NotAnswered)  # nobody came to it in time
async def late(_: Request, error: NotAnswered) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=504)


@app.exception_handler(PredictionFailed)  # the model raised
async def failed(_: Request, error: PredictionFailed) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=502)
