"""Data sets that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn import datasets

from modelane.errors import BadData
from modelane_training.sources.source import Source
from modelane_training.table import Table


def scikit_learn(name: str) -> Source:
    """A data set that comes with scikit-learn, such as ``breast_cancer`` or ``diabetes``."""

    def read(target: str) -> Table:  # they have one target, whatever its name
        try:
            found = getattr(datasets, f"load_{name}")()
            names = tuple(str(feature) for feature in found.feature_names)
        except (AttributeError, ImportError) as exc:
            raise BadData(f"scikit-learn has no table named {name!r}") from exc
        return Table.of(
            np.asarray(found.data), np.asarray(found.target), names=names, source=f"scikit-learn's {name}"
        )

    return read
