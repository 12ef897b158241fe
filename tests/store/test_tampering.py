"""Someone who can write to the store, but has no trusted key, cannot make a worker unpickle anything."""

from __future__ import annotations

import os
import shutil

import pytest

from modelane.errors import IncompatibleModel, NoSuchVersion, StoreError, UntrustedModel
from modelane_worker.registry.card import FileDigest
from modelane_worker.registry.signing import SigningKey
from support.cards import a_card, a_version

FIRST, SECOND = a_version(1), a_version(2)


@pytest.fixture
def folder(store, publish):
    publish(1), publish(2)
    return store.root / "churn" / FIRST


def test_an_unchanged_version_is_returned_with_its_bytes(store, folder, trusted):
    verified = store.read("churn", FIRST, trusted)

    assert verified.card.version == FIRST
    assert verified.files == {"model.joblib": b"artifact 1"}


def test_the_returned_bytes_are_those_that_were_verified(store, folder, trusted):
    # Given a verified version
    verified = store.read("churn", FIRST, trusted)

    # When its file is replaced afterwards
    (folder / "model.joblib").write_bytes(b"artifact X")

    # Then the bytes to unpickle are still those that were verified
    assert verified.files["model.joblib"] == b"artifact 1"
    with pytest.raises(TypeError):
        verified.files["model.joblib"] = b""


@pytest.mark.parametrize("content", [b"artifact X", b"artifact", b"", b"artifact 1 and more"])
def test_a_tampered_artifact_is_refused(store, folder, trusted, content):
    (folder / "model.joblib").write_bytes(content)

    with pytest.raises(UntrustedModel, match=r"model\.joblib"):
        store.read("churn", FIRST, trusted)


def test_a_missing_artifact_is_refused(store, folder, trusted):
    (folder / "model.joblib").unlink()

    with pytest.raises(UntrustedModel, match=r"model\.joblib"):
        store.read("churn", FIRST, trusted)


def test_a_tampered_card_is_refused(store, folder, trusted):
    card = folder / "card.json"
    card.write_bytes(card.read_bytes().replace(b'"accuracy": 0.9', b'"accuracy": 1.0'))

    with pytest.raises(
        UntrustedModel, match=f"churn {FIRST} cannot be trusted: its signature matches no key in"
    ):
        store.read("churn", FIRST, trusted)


def test_a_version_signed_with_an_untrusted_key_is_refused(store, publish, trusted, tmp_path):
    stranger = SigningKey.create(tmp_path / "stranger.pem", tmp_path / "strangers.pem")
    version = publish(3, key=stranger)

    with pytest.raises(UntrustedModel, match="its trainer is not trusted"):
        store.read("churn", version, trusted)


@pytest.mark.parametrize("size", [0, 63, 65, 10_000])
def test_a_signature_of_another_length_is_refused(store, folder, trusted, size):
    (folder / "card.sig").write_bytes(bytes(size))

    with pytest.raises(UntrustedModel):
        store.read("churn", FIRST, trusted)


def test_a_card_of_another_version_is_refused_though_it_is_signed(store, folder, trusted):
    # Given all files of the second version in the folder of the first one
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / SECOND, folder)

    with pytest.raises(UntrustedModel, match=f"is the card of churn {SECOND}"):
        store.read("churn", FIRST, trusted)


def test_a_card_of_another_model_is_refused_though_it_is_signed(store, folder, trusted):
    shutil.copytree(folder, store.root / "fraud" / FIRST)

    with pytest.raises(UntrustedModel, match=f"is the card of churn {FIRST}"):
        store.read("fraud", FIRST, trusted)


@pytest.mark.parametrize("name", ["model.joblib", "card.json", "card.sig"])
def test_a_link_in_place_of_a_file_is_refused(store, folder, trusted, tmp_path, name):
    # Given a link, even to the same bytes that were signed
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)

    with pytest.raises(UntrustedModel, match="is a link"):
        store.read("churn", FIRST, trusted)


def test_a_pipe_in_place_of_a_file_does_not_block_the_worker(store, folder, trusted):
    (folder / "model.joblib").unlink()
    os.mkfifo(folder / "model.joblib")

    with pytest.raises(UntrustedModel, match="not a regular file"):
        store.read("churn", FIRST, trusted)


def test_a_file_that_the_card_does_not_list_is_not_returned(store, folder, trusted):
    (folder / "evil.joblib").write_bytes(b"evil")

    assert set(store.read("churn", FIRST, trusted).files) == {"model.joblib"}


def test_even_a_signed_card_cannot_name_a_file_outside_the_version(store, folder, key, trusted):
    # Given a faulty trainer with a trusted key
    digest = FileDigest(sha256="00" * 32, size_bytes=1)
    raw = a_card(FIRST, files={"../../secret": digest}).encode()
    (folder / "card.json").write_bytes(raw)
    (folder / "card.sig").write_bytes(key.sign(raw))

    with pytest.raises(StoreError, match="not allowed as the name"):
        store.read("churn", FIRST, trusted)


def test_a_signed_card_of_another_format_is_incompatible_not_untrusted(store, folder, key, trusted):
    (folder / "card.json").write_bytes(b'{"format": 7}')
    (folder / "card.sig").write_bytes(key.sign(b'{"format": 7}'))

    with pytest.raises(IncompatibleModel, match="format 7"):
        store.read("churn", FIRST, trusted)


@pytest.mark.parametrize("name", ["card.json", "card.sig"])
def test_a_folder_without_a_card_or_its_signature_is_not_a_version(store, folder, trusted, name):
    (folder / name).unlink()

    with pytest.raises(NoSuchVersion):
        store.read("churn", FIRST, trusted)
