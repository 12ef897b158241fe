"""The ids of versions, such as ``20261122T113000-1a2b3c4d``: readable, unique, and sorted by time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from modelane.errors import StoreError

_VERSION_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")
_EXAMPLE = "20261122T113000-1a2b3c4d"


def new_version(now: datetime, entropy: bytes) -> str:
    """Return the id of a version that is made now.

    Args:
        now: The current time, with a time zone.
        entropy: Four random bytes, which keep the ids of two trainers apart that finish in the same second.
    """
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{entropy[:4].hex():0>8}"


def is_version(name: str) -> bool:
    return _VERSION_ID.fullmatch(name) is not None


def check_version(name: str) -> str:
    """Return ``name`` if it is a version id. A version id is a folder name that cannot lead out of the store.

    Raises:
        StoreError: It is not a version id.
    """
    if is_version(name):
        return name
    raise StoreError(f"{name!r:.80} is not a version id: expected one like {_EXAMPLE}")


def not_a_version(model: str, name: str) -> str:
    """Return the error message for a request whose version is not a version id."""
    return f"{name!r:.80} is not a version of {model}: give the whole version id, such as {_EXAMPLE}"
