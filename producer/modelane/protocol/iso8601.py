"""Moments as Celery writes them, ISO 8601.  A batch has few different ones, so each is made out once."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from modelane.errors import Undecodable

#: Parts of a second that a deadline is written in: as fine as anybody needs, and the same for many requests.
DEADLINES_PER_S = 100


@lru_cache(maxsize=256)
def write_moment(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


def write_deadline(unix_s: float) -> str:
    """Never earlier than ``unix_s``, and at most 10 ms later."""
    return write_moment(math.ceil(unix_s * DEADLINES_PER_S) / DEADLINES_PER_S)


@lru_cache(maxsize=256)
def read_moment(moment: str) -> float:
    """Unix seconds; without a zone it is UTC, as Celery has it.

    Raises:
        Undecodable: not a moment.
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError as exc:
        raise Undecodable(f"{moment!r:.40} is not an ISO-8601 moment") from exc
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
