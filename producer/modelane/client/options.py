"""Options of a request, checked in the caller's thread before anything is sent."""

from __future__ import annotations

import re
from typing import Any, TypedDict

import numpy as np

from modelane.errors import BadInput

#: Longest timeout in seconds: a year. Dates and timers cannot represent much more.
LONGEST_S = 366 * 86_400.0

#: Ids appear in Redis keys, in logs and in Flower.
_ID = re.compile(r"[A-Za-z0-9._:@/=+~-]{1,200}")


class Options(TypedDict, total=False):
    """Options of a request: see :meth:`modelane.Client.submit`."""

    method: str
    version: str | None
    columns: tuple[str, ...] | None
    params: dict[str, Any] | None
    timeout_s: float | None
    ttl_s: float | None
    priority: int
    id: str | None


def check_seconds(name: str, value: Any) -> float:
    """Return a duration as a float.

    Args:
        name: of the option.
        value: seconds.

    Raises:
        BadInput: not a number, not positive, or longer than a year.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if is_number and 0 < value <= LONGEST_S:
        return float(value)
    raise BadInput(f"{name}={value!r:.40}: expected a number of seconds, more than 0 and at most a year")


def check_priority(value: Any) -> int:
    """Return a priority.

    Raises:
        BadInput: not one of Celery's priorities.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= 9:
        return int(value)
    raise BadInput(f"priority={value!r:.40}: expected an integer from 0 (served first) to 9")


def check_method(value: Any) -> str:
    """Return a method name.

    Raises:
        BadInput: not a Python identifier.
    """
    if isinstance(value, str) and value.isidentifier():
        return value
    raise BadInput(f"method={value!r:.40}: expected the name of a method, such as 'predict'")


def check_version(value: Any) -> str | None:
    """Return a version name.

    Raises:
        BadInput: not a string of at most 80 printable characters.
    """
    if value is None or (isinstance(value, str) and 0 < len(value) <= 80 and value.isprintable()):
        return value
    raise BadInput(f"version={value!r:.80}: expected the name of a version, such as Answer.version")


def check_id(value: Any) -> str:
    """Return a request id.

    Raises:
        BadInput: empty, too long, or with characters that ids may not contain.
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise BadInput(f"id={value!r:.80}: expected 1 to 200 letters, digits and . _ : @ / = + ~ -")


def check_columns(value: Any) -> tuple[str, ...] | None:
    """Return column names as a tuple.

    Raises:
        BadInput: not a list or tuple of strings.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise BadInput(f"columns={value!r:.80}: expected a tuple of column names (strings)")


def check_params(value: Any) -> dict[str, Any] | None:
    """Return keyword arguments of a method.

    Raises:
        BadInput: not a dictionary with strings as keys.
    """
    if value is None or (isinstance(value, dict) and all(isinstance(name, str) for name in value)):
        return value
    raise BadInput(
        f"params={value!r:.80}: expected a dictionary of keyword arguments, such as {{'return_std': True}}"
    )


def check_no_ignore_result(options: Options) -> None:
    """Check the options of a call that waits for the answer.

    Raises:
        BadInput: ``ignore_result`` is among them.
    """
    if "ignore_result" in options:
        raise BadInput("ignore_result is an option of submit only: predict, map and amap return the answer")
