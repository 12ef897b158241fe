"""What a worker says that it serves, and who reads it."""

from __future__ import annotations

import msgspec
import pytest
import redis

from modelane.broker.served_models import served_model, served_models
from modelane.data.features import Feature
from modelane.errors import BadInput, UnknownModel
from modelane.keys import SERVED_KEY_PREFIX, SERVED_TTL_S
from modelane_worker.celery_worker.announcer import Announcer
from support.cards import a_card as card
from support.cards import a_version


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_callers_learn_version_columns_methods_and_classes(server):
    features = (Feature("age", "int64"), Feature("city", "str"), Feature("since", "datetime64[us]"))
    churn = card(model="churn", features=features)

    Announcer(server, "shop:").announce([churn])

    served = served_model(server, "shop:", "churn")
    assert (served.version, served.methods, served.classes) == (churn.version, churn.methods, churn.classes)
    assert [(column.name, column.dtype) for column in served.features] == [
        ("age", "float64"),
        ("city", "str"),
        ("since", "datetime64[us]"),
    ]


def test_what_nobody_says_any_more_is_forgotten(server):
    Announcer(server, "").announce([card(model="churn")])
    assert 0 < server.ttl(SERVED_KEY_PREFIX + "churn") <= SERVED_TTL_S

    server.delete(SERVED_KEY_PREFIX + "churn")  # as when its time is over

    assert served_models(server, "") == []


def test_it_is_said_when_it_is_news_and_again_before_it_is_forgotten(server):
    clock = Clock()
    announcer = Announcer(server, "", clock)
    first, second = card(model="churn"), card(model="churn", methods=("predict",))
    announcer.announce([first])
    server.flushall()

    # Not when nothing has changed
    announcer.announce([first])
    assert served_models(server, "") == []

    # But when something has
    announcer.announce([second])
    assert served_model(server, "", "churn").methods == ("predict",)

    # And in time
    server.flushall()
    clock.now_s = SERVED_TTL_S / 3
    announcer.announce([second])
    assert [served.model for served in served_models(server, "")] == ["churn"]


def test_versions_that_are_held_beside_the_champion_are_not_announced(server):
    champion, older = card(a_version(2), model="churn"), card(a_version(1), model="churn")

    Announcer(server, "").announce([champion, older])

    assert served_model(server, "", "churn").version == champion.version


def test_a_model_that_nobody_serves_is_refused_with_those_that_are(server):
    with pytest.raises(UnknownModel, match="no worker serves the model 'churn', nor any other"):
        served_model(server, "", "churn")

    Announcer(server, "").announce([card(model="fraud"), card(model="spam")])

    with pytest.raises(
        UnknownModel, match="no worker serves the model 'churn'; models in service: fraud, spam"
    ):
        served_model(server, "", "churn")


def test_a_name_that_no_model_can_have_is_refused(server):
    with pytest.raises(BadInput, match="is not a model's name"):
        served_model(server, "", "Not A Model")


def test_what_another_release_has_written_is_passed_over(server):
    Announcer(server, "").announce([card(model="churn"), card(model="spam")])
    server.set(SERVED_KEY_PREFIX + "churn", msgspec.json.encode({"model": "churn"}))

    assert [served.model for served in served_models(server, "")] == ["spam"]
