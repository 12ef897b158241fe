"""What a type checker says of the public API.  Never run: test_api.py has mypy read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import numpy as np
from celery import Celery
from numpy.typing import NDArray

from modelane import Answer, Client, ModelaneError, Prediction, Retrained, Settings, TryLater, errors, testing
from modelane.app import app, predict, sender
from modelane.celery_tasks import Predict


def waiting(client: Client) -> None:
    prediction = client.submit("churn", [[1.0, 2.0]], method="predict_proba", priority=3, ttl_s=2.0)
    assert_type(prediction, Prediction[Answer])
    assert_type(prediction.id, str)
    assert_type(prediction.cancel(), bool)
    answer = prediction.result(timeout=1.0)
    assert_type(answer, Answer)
    assert_type(answer.values, NDArray[Any])
    assert_type(answer.version, str)
    assert_type(answer.queued_s, float)
    assert_type(client.predict("churn", np.zeros((3, 2))), Answer)
    assert_type(client.submit("churn", [], ignore_result=True), Prediction[None])
    assert_type(client.attach("order-17"), Prediction[Answer])
    assert_type(client.retrain("churn"), Prediction[Retrained])
    assert_type(client.map("churn", iter([])), Iterator[Answer])
    assert_type(client.map("churn", [], return_errors=True), Iterator[Answer | ModelaneError])


async def awaiting(client: Client) -> None:
    assert_type(await client.submit("churn", [{"age": 41}]), Answer)
    assert_type(await client.submit("churn", [], ignore_result=True), None)
    asked = [client.submit("churn", [{"age": age}]) for age in range(3)]
    assert_type(await asyncio.gather(*map(asyncio.wrap_future, asked)), list[Answer])
    assert_type(client.amap("churn", []), AsyncIterator[Answer])
    async for outcome in client.amap("churn", [], return_errors=True):
        assert_type(outcome, Answer | ModelaneError)


def fake() -> None:
    with testing.Client({"churn": sum}, settings=Settings(max_depth=5)) as client:
        assert_type(client, testing.Client)
        assert_type(client.predict("churn", [[1.0]]), Answer)
        assert_type(client.lanes, testing.Lanes)
        assert_type(client.lanes.publish("churn", sum, [[1.0]]), str)
        client.lanes.fail(TryLater("later"), model="churn", times=2)
        client.lanes.delay_s = 0.5
        with client.lanes.held():
            waiting(client)


def failing(client: Client) -> float:
    try:
        client.predict("churn", [])
    except errors.QueueFull as full:
        assert_type(full.retry_after_s, float)
        return full.retry_after_s
    except ModelaneError as error:
        assert_type(error.code, str)
    return 0.0


def celery() -> None:
    assert_type(app, Celery)
    assert_type(sender(Settings()), Celery)
    assert_type(predict, Predict)


def wrong(client: Client) -> None:
    """Each line is a mistake that a type checker finds."""
    client.submit("churn", [], priority="high")  # type: ignore[call-overload]
    client.submit("churn", [], urgency=1)  # type: ignore[call-overload]
    client.predict("churn", [], ignore_result=True)  # type: ignore[call-arg]
    client.submit(5, [])  # type: ignore[call-overload]
    client.lanes  # type: ignore[attr-defined]  # noqa: B018  # a fake's alone
