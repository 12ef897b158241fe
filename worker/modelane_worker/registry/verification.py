"""A version in memory, nothing believed that its signature does not cover.  store → VERIFIED → artefact."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from modelane import atomic_files
from modelane.errors import StoreError, UntrustedModel
from modelane_worker.registry.card import MAX_CARD_BYTES, Card, FileDigest, decode
from modelane_worker.registry.signing import TrustedKeys

CARD_FILE = "card.json"
SIGNATURE_FILE = "card.sig"

_SIGNATURE_BYTES = 64
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Verified:
    """A version whose signature and digests were right, and the very bytes that were checked."""

    card: Card
    files: Mapping[str, bytes]


def checked_file_name(name: str) -> str:
    """Raises :class:`StoreError`: not a plain name, or one that the version itself has."""
    if _FILE_NAME.fullmatch(name) and name not in {CARD_FILE, SIGNATURE_FILE}:
        return name
    raise StoreError(f"{name!r:.80} is not a name for a file of a version")


def digest(content: bytes) -> FileDigest:
    return FileDigest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def read_verified(folder: Path, model: str, version: str, trusted: TrustedKeys) -> Verified:
    """The version in ``folder``.

    Raises:
        UntrustedModel: signature, model, version, size or digest is wrong; nothing came of it.
        IncompatibleModel: the card is signed, but not in a form that this Modelane reads.
    """
    raw = atomic_files.read_regular(folder / CARD_FILE, max_bytes=MAX_CARD_BYTES)
    trusted.verify(raw, atomic_files.read_regular(folder / SIGNATURE_FILE, max_bytes=_SIGNATURE_BYTES))
    card = decode(raw)
    if (card.model, card.version) != (model, version):
        # Signed, but for another place: this is how an old model would be put under a new name.
        raise UntrustedModel(f"its card is that of {card.model} {card.version}")
    files = {
        name: _checked_bytes(folder / checked_file_name(name), expected)
        for name, expected in card.files.items()
    }
    return Verified(card, MappingProxyType(files))


def _checked_bytes(path: Path, expected: FileDigest) -> bytes:
    try:
        content = atomic_files.read_regular(path, max_bytes=expected.size_bytes)
    except FileNotFoundError as exc:
        raise UntrustedModel(f"{path.name} is missing") from exc
    if digest(content) != expected:
        raise UntrustedModel(f"{path.name} is not the file that its card was signed for")
    return content
