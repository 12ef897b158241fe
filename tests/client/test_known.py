"""Celery tasks for unknown models are refused when they are sent: no client reports it later."""

from __future__ import annotations

import pytest

from modelane import app, celery_tasks
from modelane.broker.served_models import Served, announce
from modelane.errors import UnknownModel
from modelane.keys import SERVED_KEY, predict_queue
from modelane.settings import Settings

ROWS = [[1.0, 2.0]]
CHURN = Served(model="churn", version="v", features=(), methods=("predict",), classes=None)


@pytest.fixture
def settings(redis_url) -> Settings:
    return Settings(broker_url=redis_url, prefix="shop:")


@pytest.fixture
def predict(settings):
    app.sender.cache_clear()
    return app.sender(settings).tasks["modelane.predict"]


def lane(server, model: str) -> int:
    return server.llen(f"shop:{predict_queue(model)}")


def test_an_unknown_model_is_refused(server, predict):
    announce(server, "shop:", [CHURN])

    with pytest.raises(UnknownModel, match="'chrun'; models in service: churn; did you mean 'churn'"):
        predict.delay("chrun", ROWS)

    assert lane(server, "chrun") == 0
    predict.delay("churn", ROWS)
    assert lane(server, "churn") == 1


def test_without_workers_no_model_is_refused(server, predict):
    predict.delay("chrun", ROWS)

    assert lane(server, "chrun") == 1


def test_a_model_that_was_just_published_is_accepted(server, predict):
    announce(server, "shop:", [CHURN])
    with pytest.raises(UnknownModel):
        predict.delay("new-one", ROWS)
    server.sadd("shop:" + SERVED_KEY, "new-one")

    predict.delay("new-one", ROWS)

    assert lane(server, "new-one") == 1


def test_redis_is_queried_once_per_model(server, settings, monkeypatch):
    announce(server, "shop:", [CHURN])
    names = celery_tasks.KnownModels(settings)
    names.check("churn")
    monkeypatch.delattr(celery_tasks, "connect")

    names.check("churn")


def test_an_unavailable_redis_is_ignored(free_port):
    celery_tasks.KnownModels(Settings(broker_url=f"redis://127.0.0.1:{free_port}/0")).check("churn")


def test_other_brokers_are_not_queried():
    celery_tasks.KnownModels(Settings(broker_url="amqp://127.0.0.1:1//")).check("churn")
