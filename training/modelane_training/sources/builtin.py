"""The data sets that come with scikit-learn, as a source."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn import datasets

from modelane.errors import BadData
from modelane_training.dataset.raw import Raw
from modelane_training.sources.source import Source


def scikit_learn(name: str) -> Source:
    """Read a data set that comes with scikit-learn, for examples and tests.

    The data set has one target; it gets the name that the recipe gives its target.

    Args:
        name: what follows ``load_`` in :mod:`sklearn.datasets`: ``"breast_cancer"``, ``"diabetes"``,
            ``"digits"``, ``"iris"`` or ``"wine"``.

    Returns:
        A source. It raises ``BadData`` if there is no such data set, or if it has several targets.

    Example:
        >>> source = scikit_learn("iris")
        >>> source("species").frame.shape
        (150, 5)
    """

    def read(target: str) -> Raw:
        try:
            found = getattr(datasets, f"load_{name}")()
            names = [str(feature) for feature in found.feature_names]
        except (AttributeError, ImportError) as exc:
            raise BadData(
                f"scikit-learn has no table named {name!r}: expected a name such as 'breast_cancer', "
                "'diabetes', 'digits', 'iris' or 'wine'"
            ) from exc
        targets = np.asarray(found.target)
        if targets.ndim != 1:
            raise BadData(
                f"scikit-learn's {name} has {targets.shape[1]} targets: expected one; "
                "select one of them in a source of your own"
            )
        frame = pd.DataFrame(np.asarray(found.data), columns=names)
        frame[target] = targets
        return Raw(name=f"scikit-learn's {name}", frame=frame)

    return read
