"""Ask Flower's API which tasks it saw."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlencode, urlsplit

from modelane.errors import StackError

#: Seconds that events may take from the worker to Flower.
SEEN_LIMIT_S = 30.0
_PAUSE_S = 0.3


def succeeded(flower_url: str, task: str, *, at_least: int, limit_s: float = SEEN_LIMIT_S) -> int:
    """Return how many tasks of a name Flower shows as succeeded.

    Waits until there are ``at_least`` so many, at most ``limit_s`` seconds.

    Raises:
        StackError: Flower does not answer.
    """
    until_s = time.monotonic() + limit_s
    while (seen := _count(flower_url, task)) < at_least and time.monotonic() < until_s:
        time.sleep(_PAUSE_S)
    return seen


def _count(flower_url: str, task: str) -> int:
    query = urlencode({"taskname": task, "state": "SUCCESS", "limit": 1_000_000})
    connection = http.client.HTTPConnection(urlsplit(flower_url).netloc, timeout=60)
    try:
        connection.request("GET", f"/api/tasks?{query}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise StackError(f"Flower does not answer at {flower_url}: {exc}") from exc
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise StackError(f"Flower answers {response.status} to /api/tasks")
    return len(json.loads(body))
