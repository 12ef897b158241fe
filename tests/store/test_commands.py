"""`modelane models`, `promote`, `rollback` and `diff`, on a store with real signatures."""

from __future__ import annotations

import json

import pytest
import redis
from click.testing import CliRunner

from modelane.cli import main
from modelane.data.features import Feature
from modelane.keys import MODELS_CHANNEL
from modelane_worker.registry.card import Judgement
from support.cards import a_card, a_version

FIRST, SECOND, THIRD = a_version(1), a_version(2), a_version(3)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path, redis_url, key):
    monkeypatch.setenv("MODELANE_HOME", str(tmp_path))
    monkeypatch.setenv("MODELANE_BROKER_URL", redis_url)


@pytest.fixture
def notified(redis_url):
    """Return the models that workers were notified of."""
    with redis.Redis.from_url(redis_url) as client, client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(MODELS_CHANNEL)
        listener.get_message(timeout=1)

        def notified() -> list[str]:
            heard = []
            while (message := listener.get_message(timeout=0.2)) is not None:
                heard.append(message["data"].decode())
            return heard

        yield notified


def run(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_models_are_listed_with_their_champions(store, publish):
    publish(1), publish(2), publish(1, model="fraud")
    store.promote("churn", FIRST), store.promote("churn", SECOND)

    listed = run("models")
    churn, fraud = json.loads(run("models", "--json").stdout)

    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["MODEL", "churn", "fraud"]
    assert "accuracy 0.9000" in listed.stdout
    assert (churn["version"], churn["previous"], churn["versions"]) == (SECOND, FIRST, 2)
    assert (churn["metric"], churn["value"], churn["size_bytes"]) == ("accuracy", 0.9, len(b"artifact 2"))
    assert (fraud["version"], fraud["versions"]) == (None, 1)


def test_the_versions_of_one_model_are_listed_newest_first(store, publish):
    publish(1), publish(2), publish(3)
    store.promote("churn", FIRST), store.promote("churn", SECOND)

    rows = json.loads(run("models", "churn", "--json").stdout)

    found = [(row["version"], row["alias"]) for row in rows]
    assert found == [(THIRD, None), (SECOND, "champion"), (FIRST, "previous")]


def test_an_empty_store_says_what_to_do():
    empty = run("models")

    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "modelane train" in empty.stderr


def test_a_damaged_model_does_not_hide_the_others(store, publish):
    publish(1), publish(1, model="fraud")
    store.promote("fraud", FIRST)
    (store.root / "churn/aliases.json").write_text("{")

    listed = run("models")

    assert "churn: aliases.json of churn is damaged" in listed.stdout
    assert f"fraud  {FIRST}" in listed.stdout


@pytest.mark.parametrize("name", [SECOND, SECOND[-8:], "20261122T113000-00000002"])
def test_a_version_is_promoted_by_its_full_or_abbreviated_id_and_workers_are_notified(
    store, publish, notified, name
):
    publish(1), publish(2)
    store.promote("churn", FIRST)

    done = run("promote", "churn", name)

    assert done.stdout == f"churn: the champion is now {SECOND}, the previous one is {FIRST}\n"
    assert store.champion("churn") == SECOND
    assert notified() == ["churn"]


def test_a_rollback_can_be_undone_by_another_rollback(store, publish, notified):
    publish(1), publish(2)
    store.promote("churn", FIRST), store.promote("churn", SECOND)

    assert run("rollback", "churn").exit_code == 0
    assert store.champion("churn") == FIRST
    assert run("promote", "churn", "previous").exit_code == 0
    assert store.champion("churn") == SECOND
    assert notified() == ["churn", "churn"]


def test_the_champion_is_not_promoted_again(store, publish, notified):
    publish(1)
    store.promote("churn", FIRST)

    assert run("promote", "churn", "champion").stdout == f"churn: {FIRST} is already the champion\n"
    assert notified() == []


def test_a_version_without_a_trusted_signature_is_not_promoted(store, publish):
    publish(1), publish(2)
    store.promote("churn", FIRST)
    (store.root / "churn" / SECOND / "model.joblib").write_bytes(b"tampered")

    refused = run("promote", "churn", SECOND)

    assert refused.exit_code == 1
    assert "does not match the sha256 and size on the signed card" in refused.stderr
    assert store.champion("churn") == FIRST


def test_without_trusted_keys_a_note_says_that_workers_check(store, publish, tmp_path):
    publish(1)
    (tmp_path / "keys/trusted.pem").unlink()

    done = run("promote", "churn", FIRST)

    assert done.exit_code == 0
    assert "workers check it before they load the version" in done.stderr


def test_a_note_says_that_workers_could_not_be_notified(store, publish, monkeypatch, free_port):
    publish(1)
    monkeypatch.setenv("MODELANE_BROKER_URL", f"redis://127.0.0.1:{free_port}/0")

    done = run("promote", "churn", FIRST)

    assert done.exit_code == 0
    assert "they check the model store every 2 s" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["promote", "chrn", FIRST], 4, "it has churn, fraud; did you mean churn?"),
        (["rollback", "zebra"], 4, "it has churn, fraud\n"),
        (["diff", "../churn"], 4, "is not a model's name"),
        (["promote", "churn", "2026"], 1, f"'2026' of churn is ambiguous: it matches {FIRST}, {SECOND}"),
        (["promote", "churn", THIRD], 1, f"its newest version is {SECOND}"),
        (["rollback", "churn"], 1, "no previous version to roll back to"),
        (["diff", "churn"], 1, "has no previous version yet: promote one first"),
        (["diff"], 2, "0 names: expected a model, two versions"),
        (["models", "chrn"], 4, "did you mean churn?"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(store, publish, arguments, code, sentence):
    publish(1), publish(2), publish(1, model="fraud")

    refused = run(*arguments)

    assert refused.exit_code == code
    assert sentence in refused.stderr


@pytest.fixture
def two(store, key):
    """Publish two versions that differ in every field."""
    features = (Feature("age", "float64"), Feature("visits", "float64"))
    older = a_card(FIRST, features=features, parameters={"estimator": "SVC", "C": "1.0"})
    newer = a_card(
        SECOND,
        features=(features[0], Feature("visits", "str"), Feature("since", "datetime64[us]")),
        parameters={"estimator": "SVC", "C": "10.0"},
        metrics={"accuracy": 0.95, "log_loss": 0.2},
        evaluation={"metric": "accuracy", "scores": {"intervals": {"accuracy": (0.91, 0.98)}}},
        judgement=Judgement(promote=True, reason="better"),
        libraries={"python": "3.12.0", "scikit-learn": "1.5.0"},
    )
    for card in (older, newer):
        store.publish(card, {"model.joblib": b"x"}, key)
        store.promote("churn", card.version)


@pytest.mark.parametrize(
    "names", [["churn"], ["churn", FIRST[-8:]], [FIRST, SECOND], ["churn", FIRST, SECOND]]
)
def test_two_versions_are_compared(two, names):
    told = json.loads(run("diff", *names, "--json").stdout)

    assert (told["model"], told["a"], told["b"]) == ("churn", FIRST, SECOND)
    lines = {(line["section"], line["name"]): (line["a"], line["b"]) for line in told["lines"]}
    assert lines["metrics", "accuracy"] == ("0.9000", "0.9500  [0.9100, 0.9800]")
    assert lines["metrics", "log_loss"] == (None, "0.2000")
    assert lines["features", "age"] == ("float64", "float64")
    assert lines["features", "visits"] == ("float64", "str")
    assert lines["features", "since"] == (None, "datetime64[us]")
    assert lines["parameters", "C"] == ("1.0", "10.0")
    assert lines["libraries", "numpy"] == ("1.26.0", None)


def test_the_table_shows_the_differences(two):
    shown = run("diff", "churn").stdout

    assert "+ since" in shown
    assert "~ visits" in shown
    assert "- numpy" in shown
    assert " age" not in shown
    assert " age" in run("diff", "churn", "--all").stdout
