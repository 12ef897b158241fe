"""Whether what happens in seven of ten cases was promised at 0.7."""

from __future__ import annotations

import numpy as np

from modelane_training.evaluation.metrics import CALIBRATION_BINS, confidences
from modelane_training.evaluation.predictions import Answers
from modelane_training.report.findings import CalibrationBin


def calibration(answers: Answers) -> tuple[CalibrationBin, ...]:
    """Of two classes by the positive one's share; of more by the share of the answer given."""
    if answers.shares is None:
        return ()
    if answers.positive is not None:
        promised = answers.shares[:, answers.positive]
        happened = answers.truth == answers.positive
        bins = np.minimum((promised * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    else:
        promised, bins = confidences(answers, answers.shares)
        happened = answers.truth == answers.predicted
    counts, promises, events = (
        np.bincount(bins, weights=weights, minlength=CALIBRATION_BINS)
        for weights in (None, promised, happened)
    )
    return tuple(
        CalibrationBin(
            promised=float(promises[place] / counts[place]),
            happened=float(events[place] / counts[place]),
            n_rows=int(counts[place]),
        )
        for place in np.flatnonzero(counts)
    )
