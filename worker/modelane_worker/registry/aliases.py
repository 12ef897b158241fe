"""The aliases of a model's versions: one small file per model, so that they change together.

The file is replaced atomically. A process that changes it holds the lock of the model's folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from modelane import atomic_files
from modelane.errors import StoreError

ALIASES_FILE = "aliases.json"
LOCK_FILE = ".lock"

#: Bytes; two version ids take about 100.
_MAX_BYTES = 4096


class Aliases(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that a model's aliases name."""

    champion: str | None = None  #: the version that answers requests
    previous: str | None = None  #: the champion before it, to which a rollback returns

    def promoted(self, version: str) -> Aliases:
        """Return the aliases after a promotion: the champion becomes the previous version."""
        return Aliases(champion=version, previous=self.champion)


ALIAS_NAMES = Aliases.__struct_fields__


def read_aliases(folder: Path) -> Aliases:
    """Read the aliases in a model's folder; a model without the file has none.

    Raises:
        StoreError: The file is damaged.
    """
    try:
        raw = atomic_files.read_regular(folder / ALIASES_FILE, max_bytes=_MAX_BYTES)
        return msgspec.json.decode(raw, type=Aliases)
    except FileNotFoundError:
        return Aliases()
    except msgspec.MsgspecError as exc:
        raise StoreError(
            f"{ALIASES_FILE} of {folder.name} is damaged ({exc}): remove it and promote a version"
        ) from exc


def write_aliases(folder: Path, aliases: Aliases) -> None:
    """Replace the aliases in a model's folder; the caller holds :func:`folder_lock`."""
    atomic_files.replace(folder / ALIASES_FILE, msgspec.json.encode(aliases) + b"\n")


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder, in this and every other process. It ends with the process."""
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
