from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rows() -> np.ndarray:
    from support.workplace import breast_cancer_rows

    return breast_cancer_rows()
