"""Third-party services: a test that needs one starts its own server if it is installed."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def is_missing(what: str) -> NoReturn:
    """Skip the test with the reason; fail where ``.ci/run`` should have installed the service."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; .ci/run was to install it", pytrace=False)
    pytest.skip(what)
