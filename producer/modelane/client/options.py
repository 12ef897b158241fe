"""What a caller may ask for, checked before anything is sent.  submit → OPTIONS → wire."""

from __future__ import annotations

import re
from typing import Any, TypedDict

import numpy as np

from modelane.errors import BadInput

#: The longest timeout, in seconds: a year.  Far more is beyond what dates and timers can hold.
LONGEST_S = 366 * 86_400.0

#: What an id of the caller's own may be: it stands in keys of Redis, in logs and in Flower.
_ID = re.compile(r"[A-Za-z0-9._:@/=+~-]{1,200}")


class Options(TypedDict, total=False):
    """Options of a request; :meth:`modelane.client.Client.submit` says what each means."""

    method: str
    version: str | None
    columns: tuple[str, ...] | None
    params: dict[str, Any] | None
    timeout_s: float | None
    ttl_s: float | None
    priority: int
    id: str | None


def check_seconds(name: str, value: Any) -> float:
    """Raises :class:`BadInput`: not a number of seconds that somebody can wait."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if is_number and 0 < value <= LONGEST_S:
        return float(value)
    raise BadInput(f"{name}={value!r:.40}: expected seconds, more than 0 and at most a year")


def check_priority(value: Any) -> int:
    """Raises :class:`BadInput`: none of Celery's priorities."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= 9:
        return int(value)
    raise BadInput(f"priority={value!r:.40}: expected a whole number from 0 (served first) to 9")


def check_method(value: Any) -> str:
    """Raises :class:`BadInput`: no name of a method."""
    if isinstance(value, str) and value.isidentifier():
        return value
    raise BadInput(f"method={value!r:.40}: expected a method's name, such as 'predict'")


def check_version(value: Any) -> str | None:
    """Raises :class:`BadInput`: no name of a version."""
    if value is None or (isinstance(value, str) and 0 < len(value) <= 80 and value.isprintable()):
        return value
    raise BadInput(f"version={value!r:.80}: expected a version's name, as answers give it")


def check_id(value: Any) -> str:
    """Raises :class:`BadInput`: no id that a request can have."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise BadInput(f"id={value!r:.80}: expected 1 to 200 letters, digits and . _ : @ / = + ~ -")


def check_wanted(options: Options) -> None:
    """Raises :class:`BadInput`: who waits for the answer wants it to be dropped."""
    if "ignore_result" in options:
        raise BadInput("ignore_result is of submit: whoever waits for an answer does not ignore it")


def check_columns(value: Any) -> tuple[str, ...] | None:
    """Raises :class:`BadInput`: no names of columns."""
    if value is None:
        return None
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise BadInput(f"columns={value!r:.80}: expected a tuple of strings")


def check_params(value: Any) -> dict[str, Any] | None:
    """Raises :class:`BadInput`: no keyword arguments."""
    if value is None or (isinstance(value, dict) and all(isinstance(name, str) for name in value)):
        return value
    raise BadInput(f"params={value!r:.80}: expected keyword arguments, such as {{'return_std': True}}")
