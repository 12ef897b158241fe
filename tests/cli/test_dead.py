"""`modelane dead` as an operator types it."""

import json

import numpy as np
import pytest
import redis
from click.testing import CliRunner

from modelane.cli import main
from modelane.protocol import message as wire

QUEUE = "modelane.predict.churn"


@pytest.fixture
def typed(redis_url, monkeypatch):
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)
    return lambda *words: CliRunner().invoke(main, ["dead", *words])


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        for id_ in ("id-1", "id-2"):
            client.hset(f"{QUEUE}.dead", id_, b"3 workers were lost\n" + a_message(id_))
        yield client


def a_message(id_: str) -> bytes:
    return wire.write_message(
        id=id_,
        task="modelane.predict",
        queue=QUEUE,
        args=("churn", np.full((1, 2), 4711.0)),
        kwargs={},
        rows=1,
        argsrepr="('churn', [1x2 float64])",
        reply_to="modelane.reply.me",
        sent_s=1.0,
        origin="7@shop",
    )


def test_list_shows_one_a_line(typed, server):
    lines = typed("list").stdout.splitlines()

    assert sorted(lines) == [f"{id_}  {QUEUE}  3 workers were lost" for id_ in ("id-1", "id-2")]


def test_list_says_that_there_are_none_or_more(typed, server):
    assert "no dead letters" in typed("list", "--model", "fraud").output
    assert "there are more" in typed("list", "--limit", "1").output


def test_show_tells_all_but_the_rows(typed, server):
    shown = typed("show", "id-1")

    assert shown.exit_code == 0
    for words in ("3 workers were lost", "modelane.predict", "7@shop", "[1x2 float64]"):
        assert words in shown.output
    assert '"body"' not in shown.output
    assert '"body"' in typed("show", "id-1", "--message").output


def test_show_does_not_repeat_how_a_stock_client_describes_its_rows(typed, server):
    message = json.loads(a_message("id-3"))
    message["headers"]["argsrepr"] = "('churn', [[4711.0, 4711.0]])"
    message["properties"]["reply_to"] = "0c6f"
    server.hset(f"{QUEUE}.dead", "id-3", f"3 workers were lost\n{json.dumps(message)}")

    assert "4711" not in typed("show", "id-3").output


def test_redrive_and_drop_take_ids(typed, server):
    assert typed("redrive", "id-1").output == "1 put back\n"
    assert typed("drop", "id-2").output == "1 deleted\n"

    assert server.lrange(QUEUE, 0, -1) == [a_message("id-1")]
    assert not server.exists(f"{QUEUE}.dead")


def test_redrive_says_what_can_only_be_dropped(typed, server):
    server.hset(f"{QUEUE}.dead", "?1L:tag", "not a message\nnonsense")

    done = typed("redrive", "--all")

    assert "2 put back" in done.output
    assert "?1L:tag is not a Celery message and cannot be put back" in done.output
    assert server.hkeys(f"{QUEUE}.dead") == [b"?1L:tag"]


def test_all_takes_all_of_a_model(typed, server):
    assert typed("redrive", "--all", "--model", "fraud").output == "0 put back\n"
    assert typed("drop", "--all").output == "2 deleted\n"


@pytest.mark.parametrize("words", [("redrive",), ("drop",), ("drop", "id-1", "--all")])
def test_nothing_is_done_by_accident(typed, server, words):
    assert typed(*words).exit_code == 2
    assert server.hlen(f"{QUEUE}.dead") == 2


def test_an_unknown_id_is_said_in_words(typed, server):
    done = typed("show", "id-9")

    assert done.exit_code == 1
    assert "no dead letter id-9" in done.output
