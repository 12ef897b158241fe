from __future__ import annotations

import pytest

from modelane.local.log_output import Output
from support.programs import Heard


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def output(heard: Heard) -> Output:
    return Output(heard)
