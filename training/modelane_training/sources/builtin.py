"""Data sets that come with scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn import datasets

from modelane.errors import BadData
from modelane_training.dataset.raw import Raw
from modelane_training.sources.source import Source


def scikit_learn(name: str) -> Source:
    """A data set that comes with scikit-learn, such as ``breast_cancer`` or ``diabetes``.

    It has one target, whatever a recipe calls it.
    """

    def read(target: str) -> Raw:
        try:
            found = getattr(datasets, f"load_{name}")()
            names = [str(feature) for feature in found.feature_names]
        except (AttributeError, ImportError) as exc:
            raise BadData(f"scikit-learn has no table named {name!r}") from exc
        targets = np.asarray(found.target)
        if targets.ndim != 1:
            raise BadData(f"scikit-learn's {name} has {targets.shape[1]} targets; a model predicts one")
        frame = pd.DataFrame(np.asarray(found.data), columns=names)
        frame[target] = targets
        return Raw(name=f"scikit-learn's {name}", frame=frame)

    return read
