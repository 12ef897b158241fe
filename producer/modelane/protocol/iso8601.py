"""Convert between Unix time and ISO 8601 in Celery's form.

Both directions are cached, because the requests of a batch have few different times.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from modelane.errors import Undecodable

#: Deadlines are rounded to a hundredth of a second, so that many requests share the same one.
DEADLINES_PER_S = 100


@lru_cache(maxsize=256)
def format_time(unix_s: float) -> str:
    """Return the ISO 8601 form of a Unix time, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


def format_deadline(unix_s: float) -> str:
    """Return the ISO 8601 form of a deadline, rounded up by at most 10 ms."""
    return format_time(math.ceil(unix_s * DEADLINES_PER_S) / DEADLINES_PER_S)


@lru_cache(maxsize=256)
def parse_time(text: str) -> float:
    """Return the Unix time of an ISO 8601 time; without a time zone it is in UTC, as in Celery.

    Raises:
        Undecodable: ``text`` is not an ISO 8601 time.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Undecodable(f"{text!r:.40} is not an ISO 8601 time") from exc
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
