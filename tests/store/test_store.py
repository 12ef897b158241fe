"""Versions appear atomically, aliases change atomically, and names cannot leave the folder."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from modelane.errors import BadInput, NoSuchVersion, StoreError
from modelane_worker.registry.aliases import Aliases
from modelane_worker.registry.store import Store
from support.cards import a_card, a_version, publish_and_promote

FIRST, SECOND, THIRD = a_version(1), a_version(2), a_version(3)


def test_an_empty_store_has_nothing(store):
    assert store.models() == []
    assert store.versions("churn") == []
    assert store.champion("churn") is None


def test_a_published_version_is_listed_but_not_in_service(store, publish):
    assert publish(1) == FIRST
    assert store.models() == ["churn"]
    assert store.versions("churn") == [FIRST]
    assert store.champion("churn") is None


def test_versions_are_listed_oldest_first(store, publish):
    publish(3), publish(1), publish(2)

    assert store.versions("churn") == [FIRST, SECOND, THIRD]


def test_a_version_never_changes(store, publish):
    publish(1)

    with pytest.raises(StoreError, match="a version never changes"):
        publish(1)

    assert [path.name for path in (store.root / "churn").iterdir()] == [FIRST]


def test_a_promotion_keeps_the_old_champion_as_previous(store, publish):
    publish(1), publish(2)

    assert store.promote("churn", FIRST) == Aliases(champion=FIRST)
    assert store.promote("churn", SECOND) == Aliases(champion=SECOND, previous=FIRST)


def test_promoting_the_champion_again_keeps_the_previous_version(store, publish):
    publish(1), publish(2)
    store.promote("churn", FIRST), store.promote("churn", SECOND)

    store.promote("churn", SECOND)

    assert store.aliases("churn") == Aliases(champion=SECOND, previous=FIRST)


def test_a_rollback_can_be_undone_by_another(store, publish):
    publish(1), publish(2)
    store.promote("churn", FIRST), store.promote("churn", SECOND)

    assert store.rollback("churn") == Aliases(champion=FIRST, previous=SECOND)
    assert store.rollback("churn") == Aliases(champion=SECOND, previous=FIRST)


def test_without_a_previous_version_there_is_no_rollback(store, publish):
    publish(1)
    store.promote("churn", FIRST)

    with pytest.raises(NoSuchVersion, match="no previous version"):
        store.rollback("churn")

    assert store.champion("churn") == FIRST


def test_only_an_existing_version_can_be_promoted(store, publish):
    publish(1)

    with pytest.raises(NoSuchVersion, match=f"its newest version is {FIRST}"):
        store.promote("churn", SECOND)
    with pytest.raises(NoSuchVersion, match="no versions at all"):
        store.promote("fraud", FIRST)


def test_a_name_resolves_to_a_version(store, publish):
    publish(1), publish(2)
    store.promote("churn", FIRST)

    assert store.resolve("churn") == FIRST
    assert store.resolve("churn", SECOND) == SECOND
    with pytest.raises(NoSuchVersion, match="no previous version yet: promote"):
        store.resolve("churn", "previous")
    with pytest.raises(NoSuchVersion):
        store.resolve("churn", THIRD)


@pytest.mark.parametrize("model", ["", "..", "../churn", "a/b", "a.b", "/etc", "A", ".hidden", None])
def test_a_model_name_that_leads_out_of_the_store_is_refused(store, trusted, model):
    for verb in (store.versions, store.champion, store.resolve, store.rollback):
        with pytest.raises(BadInput, match="is not a model's name"):
            verb(model)
    with pytest.raises(BadInput):
        store.read(model, FIRST, trusted)


@pytest.mark.parametrize("version", ["", ".", "..", "aliases.json", f"../churn/{FIRST}", "/etc"])
def test_a_version_that_leads_out_of_the_store_is_refused(store, publish, trusted, version):
    publish(1)

    for verb in (store.promote, store.resolve):
        with pytest.raises(NoSuchVersion):
            verb("churn", version)
    with pytest.raises(NoSuchVersion):
        store.read("churn", version, trusted)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/x", "card.json", "card.sig", ".x"])
def test_a_file_name_that_leads_out_of_the_store_is_not_published(store, key, name):
    with pytest.raises(StoreError, match="not allowed as the name"):
        store.publish(a_card(), {name: b""}, key)

    assert store.models() == []


def test_a_symbolic_link_is_not_a_version(store, publish, tmp_path):
    # Given a complete version in another folder, and a link to it
    publish(1)
    (store.root / "churn" / FIRST).rename(tmp_path / "elsewhere")
    (store.root / "churn" / FIRST).symlink_to(tmp_path / "elsewhere")

    assert store.versions("churn") == []
    with pytest.raises(NoSuchVersion):
        store.promote("churn", FIRST)


def test_a_symbolic_link_is_not_a_model(store, publish):
    publish(1)
    (store.root / "fraud").symlink_to(store.root / "churn")

    assert store.models() == ["churn"]
    with pytest.raises(StoreError, match="is a link"):
        store.versions("fraud")


def test_other_files_beside_the_versions_are_ignored(store, publish):
    # Given files that a crash, a user and a file manager left behind
    publish(1)
    home = store.root / "churn"
    (home / f".{SECOND}.partial").mkdir()
    (home / f".{SECOND}.partial/model.joblib").write_bytes(b"half")
    (home / THIRD).mkdir()
    (home / "notes.txt").write_text("remember")
    (store.root / "lost+found").mkdir()
    (store.root / "empty").mkdir()

    assert store.models() == ["churn"]
    assert store.versions("churn") == [FIRST]


def test_a_crash_before_the_rename_leaves_no_version(store, key, monkeypatch):
    # Given a power cut: neither the rename nor the clean-up happens
    monkeypatch.setattr(Path, "rename", _die)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(_PowerCutError):
        store.publish(a_card(FIRST), {"model.joblib": b"x"}, key)
    monkeypatch.undo()

    # Then the store has no version, and accepts the next one
    assert store.models() == []
    assert store.publish(a_card(SECOND), {"model.joblib": b"x"}, key) == SECOND
    assert store.versions("churn") == [SECOND]


def test_an_interruption_while_publishing_leaves_no_trace(store, key, monkeypatch):
    monkeypatch.setattr(Path, "rename", _die)

    with pytest.raises(_PowerCutError):
        store.publish(a_card(FIRST), {"model.joblib": b"x"}, key)

    assert list((store.root / "churn").iterdir()) == []


def test_a_crash_while_promoting_leaves_the_old_champion(store, publish, monkeypatch):
    publish(1), publish(2)
    store.promote("churn", FIRST)
    monkeypatch.setattr(Path, "replace", _die)
    with pytest.raises(_PowerCutError):
        store.promote("churn", SECOND)
    monkeypatch.undo()

    assert store.aliases("churn") == Aliases(champion=FIRST)
    store.promote("churn", SECOND)
    assert store.champion("churn") == SECOND


def test_the_error_for_damaged_aliases_says_what_to_do(store, publish):
    publish(1)
    (store.root / "churn/aliases.json").write_bytes(b'{"champ')

    with pytest.raises(StoreError, match="remove it and promote a version"):
        store.champion("churn")


def test_a_store_that_cannot_be_written_raises_a_store_error(tmp_path, key):
    (tmp_path / "models").write_text("a file where the folder should be")

    with pytest.raises(StoreError, match="the model store"):
        Store(tmp_path / "models").publish(a_card(), {}, key)


def test_only_one_of_several_publishers_of_one_version_succeeds(store, publish):
    def attempt(_: int) -> bool:
        try:
            publish(1)
        except StoreError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1

    assert store.versions("churn") == [FIRST]


def test_publishers_in_many_processes_do_not_disturb_each_other(store, trusted, tmp_path):
    # When four processes publish and promote three versions each, at the same time
    numbers = range(12)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        versions = list(
            pool.map(
                publish_and_promote,
                [store.root] * len(numbers),
                [tmp_path / "keys/signing.pem"] * len(numbers),
                numbers,
            )
        )

    # Then all versions are complete, and the aliases name two different ones
    assert store.versions("churn") == sorted(versions)
    for version in versions:
        assert store.read("churn", version, trusted).card.version == version
    aliases = store.aliases("churn")
    assert aliases.champion != aliases.previous
    assert {aliases.champion, aliases.previous} <= set(versions)


class _PowerCutError(BaseException):
    pass


def _die(*_: object) -> None:
    raise _PowerCutError
