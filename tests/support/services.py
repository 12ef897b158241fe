"""Services that are not part of Modelane: a test that needs one starts its own, where it is installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def is_missing(what: str) -> NoReturn:
    """Skip the test and say why; fail where ``.ci/run`` was to install the service."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; .ci/run was to install it", pytrace=False)
    pytest.skip(what)
