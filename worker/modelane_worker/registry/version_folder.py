"""The folder of one version: written completely or not at all, and read only as far as it is signed.

card.json       what the version is, with the sha256 of every other file
card.sig        Ed25519 signature over card.json, 64 bytes
model.joblib    … the files
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from modelane import atomic_files
from modelane.errors import StoreError, UntrustedModel
from modelane_worker.registry.card import MAX_CARD_BYTES, Card, FileDigest, decode
from modelane_worker.registry.signing import SigningKey, TrustedKeys

CARD_FILE = "card.json"
SIGNATURE_FILE = "card.sig"

_SIGNATURE_BYTES = 64
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Verified:
    """A version in memory whose signature and digests are right.

    Attributes:
        card: The signed card.
        files: File name to content: the very bytes whose digests were compared.
    """

    card: Card
    files: Mapping[str, bytes]


def is_complete(folder: Path) -> bool:
    return not folder.is_symlink() and all((folder / name).is_file() for name in (CARD_FILE, SIGNATURE_FILE))


def write_version(folder: Path, card: Card, files: Mapping[str, bytes], key: SigningKey) -> None:
    """Write a version's folder; it appears under its name when all files are on the disk.

    Args:
        folder: Must not exist yet.
        card: The digests of the files are added to it.
        files: File name to content.
        key: Signs the card.

    Raises:
        StoreError: The folder exists, or a file name is not allowed.
    """
    digests = {_checked_name(name): _digest(content) for name, content in files.items()}
    raw = msgspec.structs.replace(card, files=digests).encode()
    # A random name: a writer of the same version that crashed or hangs is not in the way.
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        if folder.exists():
            raise StoreError(f"{card.model} {card.version} already exists: a version never changes")
        for name, content in {**files, CARD_FILE: raw, SIGNATURE_FILE: key.sign(raw)}.items():
            atomic_files.write_new(partial / name, content)
        atomic_files.sync_folder(partial)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    atomic_files.sync_folder(folder.parent)


def read_card(folder: Path) -> Card:
    """Read a version's card without checking its signature: to show it, not to rely on it.

    Raises:
        IncompatibleModel: This release of Modelane cannot read the card.
    """
    return decode(atomic_files.read_regular(folder / CARD_FILE, max_bytes=MAX_CARD_BYTES))


def read_verified(folder: Path, model: str, version: str, trusted: TrustedKeys) -> Verified:
    """Read a version into memory and check everything against its signature.

    Raises:
        UntrustedModel: The signature, model, version, or the size or digest of a file is wrong.
        IncompatibleModel: The signature is right, but this release of Modelane cannot read the card.
    """
    raw = atomic_files.read_regular(folder / CARD_FILE, max_bytes=MAX_CARD_BYTES)
    trusted.verify(raw, atomic_files.read_regular(folder / SIGNATURE_FILE, max_bytes=_SIGNATURE_BYTES))
    card = decode(raw)
    if (card.model, card.version) != (model, version):
        # The signature is right, but not for this folder: an attack could serve an old model under a new
        # name.
        raise UntrustedModel(f"{CARD_FILE} is the card of {card.model} {card.version}")
    files = {
        name: _read_checked(folder / _checked_name(name), expected) for name, expected in card.files.items()
    }
    return Verified(card, MappingProxyType(files))


def _checked_name(name: str) -> str:
    """Return the name of a file of a version if it is allowed.

    Raises:
        StoreError: It is not a plain file name, or the name of the card or the signature.
    """
    if _FILE_NAME.fullmatch(name) and name not in {CARD_FILE, SIGNATURE_FILE}:
        return name
    raise StoreError(
        f"{name!r:.80} is not allowed as the name of a version's file: expected letters, digits and . _ -"
    )


def _digest(content: bytes) -> FileDigest:
    return FileDigest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _read_checked(path: Path, expected: FileDigest) -> bytes:
    try:
        content = atomic_files.read_regular(path, max_bytes=expected.size_bytes)
    except FileNotFoundError as exc:
        raise UntrustedModel(f"{path.name} is missing") from exc
    if _digest(content) != expected:
        raise UntrustedModel(f"{path.name} does not match the sha256 and size on the signed card")
    return content
