"""Versions in service: swapped when the alias moves, kept when the new one cannot be trusted."""

import logging
from datetime import UTC, datetime

import pytest

from lane.models import a_card, a_classifier
from modelane.errors import UnknownModel
from modelane_worker import artefact
from modelane_worker.card import new_version
from modelane_worker.live import RETRY_REFUSED_S, LiveModel, Models
from modelane_worker.signing import SigningKey
from modelane_worker.store import Store


class Shelf:
    """A store with a publisher, and a clock that is set by hand."""

    def __init__(self, home):
        self.trusted = home / "keys/trusted.pem"
        self.key = SigningKey.create(home / "keys/signing.pem", self.trusted)
        self.store = Store(home / "models")
        self.now_s = 0.0
        self.live = LiveModel("churn", self.store, self.trusted, clock=lambda: self.now_s)

    def promote(self, number, **card) -> str:
        version = new_version(datetime(2026, 11, 22, tzinfo=UTC), number.to_bytes(4, "big"))
        content = artefact.dump(a_classifier(flip=number % 2 == 0))
        self.store.publish(a_card(version, **card), {artefact.MODEL_FILE: content}, self.key)
        self.store.promote("churn", version)
        return version


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path)


def test_before_the_first_version_nothing_is_in_service(shelf):
    assert not shelf.live.refresh()
    with pytest.raises(UnknownModel, match="no version of churn"):
        _ = shelf.live.engine


def test_the_champion_is_loaded_and_swapped_when_the_alias_moves(shelf):
    first = shelf.promote(1)
    assert shelf.live.refresh()
    engine = shelf.live.engine
    second = shelf.promote(2)

    assert shelf.live.version == first, "nothing changes before the refresh"
    assert shelf.live.refresh()

    assert shelf.live.version == second
    assert engine.card.version == first, "a batch that began with the old version ends with it"


def test_a_rollback_is_followed_too(shelf):
    first = shelf.promote(1)
    shelf.promote(2)
    shelf.live.refresh()
    shelf.store.rollback("churn")

    shelf.live.refresh()

    assert shelf.live.version == first


def tamper(shelf, version):
    file = shelf.store.root / "churn" / version / artefact.MODEL_FILE
    file.write_bytes(b"!" + file.read_bytes()[1:])


def test_a_tampered_version_is_refused_in_words_and_the_old_one_stays(shelf, caplog):
    first = shelf.promote(1)
    shelf.live.refresh()
    tamper(shelf, shelf.promote(2))

    with caplog.at_level(logging.ERROR):
        assert shelf.live.refresh()

    assert shelf.live.version == first
    assert f"{first} goes on answering" in caplog.text
    assert "card was signed for" in caplog.text


def test_a_version_that_fails_its_warm_up_is_refused(shelf):
    first = shelf.promote(1)
    shelf.live.refresh()
    shelf.promote(2, example=(1.0,))

    shelf.live.refresh()

    assert shelf.live.version == first


def test_a_version_made_with_other_libraries_is_refused(shelf, caplog):
    shelf.promote(1, libraries=artefact.libraries() | {"scikit-learn": "0.1.0"})

    assert not shelf.live.refresh()

    assert "scikit-learn 0.1.0" in caplog.text


def test_a_refused_version_is_tried_again_after_a_while_and_said_once_meanwhile(shelf, caplog):
    shelf.promote(1)
    keys = shelf.trusted.read_bytes()
    shelf.trusted.unlink()
    for _ in range(5):
        assert not shelf.live.refresh()
    assert caplog.text.count("is refused") == 1

    shelf.trusted.write_bytes(keys)
    shelf.now_s += RETRY_REFUSED_S

    assert shelf.live.refresh()


def test_a_damaged_alias_file_stops_nothing(shelf, caplog):
    first = shelf.promote(1)
    shelf.live.refresh()
    (shelf.store.root / "churn" / "aliases.json").write_text("{")

    assert shelf.live.refresh()
    assert shelf.live.refresh()

    assert shelf.live.version == first
    assert caplog.text.count("damaged") == 1


def test_a_worker_serves_all_models_of_the_store_or_only_those_named(shelf):
    shelf.promote(1)

    assert Models(shelf.store, shelf.trusted).wanted() == ["churn"]
    assert Models(shelf.store, shelf.trusted, only=["other"]).wanted() == []
