"""The model card: what one version of a model is, what rows it takes, and which methods it has.

A card is written once, as ``card.json``, and signed. It has the digest of every other file of its version, so
that its signature covers them all.

Changing the format
-------------------
A new field that old workers can ignore gets a default value and does not change ``FORMAT``; ``decode``
ignores fields that it does not know. For any other change (a field is removed, renamed or gets another
meaning):

1. increase ``FORMAT`` by one, and describe here what changed in which release;
2. let ``decode`` still read the previous format: workers are upgraded while their models stay;
3. keep a card of the old format as ``tests/store/samples/card-<format>.json``; a test reads all of them.

Format 1: since 0.1.0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from modelane.data.features import Feature
from modelane.errors import IncompatibleModel

FORMAT = 1

#: Bytes. A feature takes about 50 bytes of a card, so no real table comes near this limit.
MAX_CARD_BYTES = 16 * 2**20

#: The methods that a request may call if the estimator has them: those that answer each row independently.
METHODS = (
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("transform", "score_samples", "apply"),
)

Task = Literal["classification", "regression"]
Scalar = str | int | float | bool | None


class FileDigest(msgspec.Struct, frozen=True):
    sha256: str  #: hexadecimal
    size_bytes: Annotated[int, Meta(ge=0)]


class DataFingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """The data that a version was trained and evaluated on."""

    source: str  #: where the data came from, for people
    n_rows: int  #: including the hold-out
    sha256: str  #: of feature names, rows and targets, in their order


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The decision of the gate about a version when it was trained."""

    promote: bool
    reason: str  #: for people, with the numbers that decided
    champion: str | None = None  #: the version that it was compared with


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The card of one version."""

    format: int = FORMAT
    model: str
    version: str
    created: Annotated[datetime, Meta(tz=True)]  #: UTC
    task: Task
    target: str
    features: tuple[Feature, ...]  #: in the order in which the estimator takes them
    classes: tuple[Scalar, ...] | None  #: columns of ``predict_proba``; None for a regression
    methods: tuple[str, ...]  #: the methods that a request may call
    metrics: dict[str, float]  #: measured on the hold-out
    data: DataFingerprint
    libraries: dict[str, str]  #: distribution to version: those that fitted and saved the estimator
    example: tuple[Scalar, ...]  #: one row, with which a worker warms up
    parameters: dict[str, str] = {}  #: of the estimator: step and parameter to value, for people
    judgement: Judgement | None = None  #: None on cards from before 0.2, and if there was no gate
    evaluation: dict[str, Any] = {}  #: all results on the hold-out; see modelane_training.evaluation
    files: dict[str, FileDigest] = {}  #: every other signed file of the version

    def encode(self) -> bytes:
        """Return the card as JSON, indented for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class _Head(msgspec.Struct):
    format: int


def decode(raw: bytes) -> Card:
    """Read a card that :meth:`Card.encode` wrote.

    Raises:
        IncompatibleModel: It has another format, or is not a card.
    """
    try:
        found = msgspec.json.decode(raw, type=_Head).format
        if found != FORMAT:
            raise IncompatibleModel(
                f"the card has format {found}, but this release of Modelane reads format {FORMAT}: "
                "upgrade the worker or the trainer, whichever is older"
            )
        return msgspec.json.decode(raw, type=Card)
    except msgspec.MsgspecError as exc:
        raise IncompatibleModel(f"this is not a model card that Modelane can read: {exc}") from exc
