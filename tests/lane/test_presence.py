"""What a worker announces in Redis about itself, and what others read."""

from __future__ import annotations

import msgspec
import pytest
import redis

from modelane.broker.served_models import served_model, served_models
from modelane.data.features import Feature
from modelane.errors import BadInput, BrokerUnavailable, UnknownModel
from modelane.keys import HELD_KEY, SERVED_KEY, SERVED_KEY_PREFIX, SERVED_TTL_S
from modelane_worker.celery_worker.presence import REPEAT_S, Presence
from modelane_worker.registry.held_versions import held_versions
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


def test_an_announcement_has_version_columns_methods_and_classes(server):
    features = (Feature("age", "int64"), Feature("city", "str"), Feature("since", "datetime64[us]"))
    churn = card(model="churn", features=features)

    Presence(server, "shop:").update([], [churn])

    served = served_model(server, "shop:", "churn")
    assert (served.version, served.methods, served.classes) == (churn.version, churn.methods, churn.classes)
    assert [(column.name, column.dtype) for column in served.features] == [
        ("age", "float64"),
        ("city", "str"),
        ("since", "datetime64[us]"),
    ]


def test_an_announcement_that_is_not_repeated_expires(server):
    Presence(server, "").update([], [card(model="churn")])
    assert 0 < server.ttl(SERVED_KEY_PREFIX + "churn") <= SERVED_TTL_S

    server.delete(SERVED_KEY_PREFIX + "churn")  # as if it had expired

    assert served_models(server, "") == []


def test_an_announcement_is_written_on_changes_and_again_before_it_expires(server):
    clock = Clock()
    presence = Presence(server, "", clock)
    first, second = card(model="churn"), card(model="churn", methods=("predict",))
    presence.update([], [first])
    server.flushall()

    # Then it is not written again without a change
    presence.update([], [first])
    assert served_models(server, "") == []

    # But it is written after a change
    presence.update([], [second])
    assert served_model(server, "", "churn").methods == ("predict",)

    # And again before it expires
    server.flushall()
    clock.now_s = REPEAT_S
    presence.update([], [second])
    assert [served.model for served in served_models(server, "")] == ["churn"]


def test_models_are_known_before_a_worker_serves_them(server):
    Presence(server, "shop:").update(["churn", "fraud"], [])

    assert server.smembers(f"shop:{SERVED_KEY}") == {b"churn", b"fraud"}
    assert served_models(server, "shop:") == []


def test_an_update_that_fails_is_repeated_by_the_next_call(server, monkeypatch):
    presence = Presence(server, "")
    with monkeypatch.context() as patch:
        patch.setattr(server, "pipeline", lambda **_: (_ for _ in ()).throw(redis.ConnectionError()))
        with pytest.raises(BrokerUnavailable):
            presence.update([], [card(model="churn")])

    presence.update([], [card(model="churn")])

    assert [served.model for served in served_models(server, "")] == ["churn"]


def test_versions_in_use_are_known_until_their_workers_stop_announcing_them(server):
    clock = Clock()
    one, other = (Presence(server, "shop:", clock) for _ in range(2))
    first, second = card(a_version(1), model="churn"), card(a_version(2), model="churn")
    ones = [first, card(a_version(1), model="fraud")]

    # When two workers hold versions
    one.update([], ones)
    other.update([], [second])
    assert held_versions(server, "shop:", "churn") == {first.version, second.version}

    # When the announcement of one of them has expired
    server.zadd(f"shop:{HELD_KEY}", {f"churn {first.version}": 1.0})
    assert held_versions(server, "shop:", "churn") == {second.version}

    # Then that worker repeats it when it is due, but not on every call
    one.update([], ones)
    assert held_versions(server, "shop:", "churn") == {second.version}
    clock.now_s += REPEAT_S
    one.update([], ones)
    assert held_versions(server, "shop:", "churn") == {first.version, second.version}


def test_loaded_versions_other_than_the_champion_are_not_announced(server):
    champion, older = card(a_version(2), model="churn"), card(a_version(1), model="churn")

    Presence(server, "").update([], [champion, older])

    assert served_model(server, "", "churn").version == champion.version


def test_a_model_that_no_worker_serves_is_refused_with_a_list_of_those_in_service(server):
    with pytest.raises(UnknownModel, match="no worker serves the model 'churn', nor any other"):
        served_model(server, "", "churn")

    Presence(server, "").update([], [card(model="fraud"), card(model="spam")])

    with pytest.raises(
        UnknownModel, match="no worker serves the model 'churn'; models in service: fraud, spam"
    ):
        served_model(server, "", "churn")


def test_an_invalid_model_name_is_refused(server):
    with pytest.raises(BadInput, match="is not a model's name"):
        served_model(server, "", "Not A Model")


def test_an_announcement_of_another_release_is_ignored(server):
    Presence(server, "").update([], [card(model="churn"), card(model="spam")])
    server.set(SERVED_KEY_PREFIX + "churn", msgspec.json.encode({"model": "churn"}))

    assert [served.model for served in served_models(server, "")] == ["spam"]
