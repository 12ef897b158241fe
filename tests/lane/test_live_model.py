"""Versions in service: swapped when the alias moves, kept when the new version is refused."""

import logging
from datetime import UTC, datetime

import pytest

from lane.models import a_card, a_classifier
from modelane.errors import TryLater, UnknownModel, UntrustedModel
from modelane_worker.registry import artifact
from modelane_worker.registry.signing import SigningKey
from modelane_worker.registry.store import Store
from modelane_worker.registry.version_id import new_version
from modelane_worker.serving.live_model import RETRY_REFUSED_S, LiveModel
from modelane_worker.serving.models import Models
from modelane_worker.serving.version_cache import MAX_KEPT
from modelane_worker.serving.version_cache import RETRY_REFUSED_S as RETRY_VERSION_S


class Shelf:
    """A store with a publisher, and a manual clock."""

    def __init__(self, home):
        self.trusted = home / "keys/trusted.pem"
        self.key = SigningKey.create(home / "keys/signing.pem", self.trusted)
        self.store = Store(home / "models")
        self.now_s = 0.0
        self.live = LiveModel("churn", self.store, self.trusted, clock=lambda: self.now_s)

    def promote(self, number, **card) -> str:
        version = new_version(datetime(2026, 11, 22, tzinfo=UTC), number.to_bytes(4, "big"))
        content = artifact.dump(a_classifier(flip=number % 2 == 0))
        self.store.publish(a_card(version, **card), {artifact.MODEL_FILE: content}, self.key)
        self.store.promote("churn", version)
        return version


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path)


def test_without_a_version_no_model_is_in_service(shelf):
    assert not shelf.live.refresh()
    with pytest.raises(UnknownModel, match="no version of churn"):
        shelf.live.engine()


def test_the_champion_is_loaded_and_swapped_when_the_alias_moves(shelf):
    first = shelf.promote(1)
    assert shelf.live.refresh()
    engine = shelf.live.engine()
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
    file = shelf.store.root / "churn" / version / artifact.MODEL_FILE
    file.write_bytes(b"!" + file.read_bytes()[1:])


def test_a_tampered_version_is_refused_with_the_reason_and_the_old_one_stays(shelf, caplog):
    first = shelf.promote(1)
    shelf.live.refresh()
    tamper(shelf, shelf.promote(2))

    with caplog.at_level(logging.ERROR):
        assert shelf.live.refresh()

    assert shelf.live.version == first
    assert f"{first} stays in service" in caplog.text
    assert "on the signed card" in caplog.text


def test_a_version_that_fails_its_warm_up_is_refused(shelf):
    first = shelf.promote(1)
    shelf.live.refresh()
    shelf.promote(2, example=(1.0,))

    shelf.live.refresh()

    assert shelf.live.version == first


def test_a_version_made_with_other_libraries_is_refused(shelf, caplog):
    shelf.promote(1, libraries=artifact.libraries() | {"scikit-learn": "0.1.0"})

    assert not shelf.live.refresh()

    assert "scikit-learn 0.1.0" in caplog.text


def test_a_refused_version_is_tried_again_after_a_while_and_logged_once(shelf, caplog):
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


class TestVersionsByName:
    @pytest.fixture
    def published(self, shelf) -> list[str]:
        """Five versions, the last one in service."""
        versions = [shelf.promote(number) for number in range(1, 6)]
        shelf.live.refresh()
        return versions

    def test_a_named_version_is_loaded_while_others_are_served(self, shelf, published):
        others, first = shelf.live.others, published[0]

        assert others.load_delay_s(first) > 0, "its request is deferred"
        with pytest.raises(TryLater, match="is being loaded"):
            others.engine(first)
        assert others.wait_for(first).card.version == first

        assert others.load_delay_s(first) == 0
        assert others.engine(first).card.version == first
        assert shelf.live.version == published[-1]

    def test_the_champion_can_be_named_without_being_loaded_twice(self, shelf, published):
        champion = shelf.live.engine()

        assert shelf.live.load_delay_s(published[-1]) == 0
        assert shelf.live.engine(published[-1]) is shelf.live.wait_for(published[-1]) is champion
        assert shelf.live.others.cards == []

    def test_only_the_versions_used_last_are_kept(self, shelf, published):
        for version in published[:-1]:
            shelf.live.others.wait_for(version)
        kept = [card.version for card in shelf.live.others.cards]

        assert kept == published[:-1][-MAX_KEPT:]
        assert [card.version for card in shelf.live.cards] == [published[-1], *kept]

    def test_a_version_that_never_existed_is_unknown(self, shelf, published):
        others, never = shelf.live.others, new_version(datetime(2020, 1, 1, tzinfo=UTC), b"\0\0\0\0")
        for _ in range(2):
            with pytest.raises(UnknownModel, match=f"no version '{never}': its newest version"):
                others.wait_for(never)
        assert others.load_delay_s(never) == 0
        with pytest.raises(UnknownModel, match=r"'\.\./\.\.' is not a version of churn"):
            others.engine("../..")

    def test_an_untrusted_version_is_refused_and_tried_again_later(self, shelf, published):
        file = shelf.store.root / "churn" / published[0] / artifact.MODEL_FILE
        sound = file.read_bytes()
        tamper(shelf, published[0])
        with pytest.raises(UntrustedModel):
            shelf.live.others.wait_for(published[0])
        file.write_bytes(sound)
        with pytest.raises(UntrustedModel):
            shelf.live.others.wait_for(published[0])

        shelf.now_s += RETRY_VERSION_S

        assert shelf.live.others.wait_for(published[0]).card.version == published[0]
