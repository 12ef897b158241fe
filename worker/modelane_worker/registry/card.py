"""What one version of a model is, what it takes, what it can do.  publish → CARD → store → engine.

A card is written once, as ``card.json``, and signed; it carries the digest of every other file of
its version, so its signature covers them all.

Changing the format
-------------------
A new field that old workers may overlook gets a default and leaves ``FORMAT`` alone; ``decode``
passes over fields that it does not know.  Any other change (a field removed, renamed, or given
another meaning):

1. raise ``FORMAT`` by one, and say here what changed and since when;
2. let ``decode`` still read the format before it: a fleet is upgraded under its models;
3. keep a card of the old format as ``tests/store/samples/card-<format>.json``; a test reads all.

Format 1: since 0.1.0.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from modelane.data.features import Feature
from modelane.errors import IncompatibleModel, StoreError

FORMAT = 1

#: Bytes.  A feature takes about 50 bytes of a card, so this is far beyond any real table.
MAX_CARD_BYTES = 16 * 2**20

#: What a request may call, if the estimator has it: whatever answers each row by itself.
METHODS = (
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("transform", "score_samples", "apply"),
)

Task = Literal["classification", "regression"]
Scalar = str | int | float | bool | None

_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}")


class FileDigest(msgspec.Struct, frozen=True):
    sha256: str  #: hexadecimal
    size_bytes: Annotated[int, Meta(ge=0)]


class DataFingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """Which data a version was trained and judged on."""

    source: str  #: where from, in words
    n_rows: int  #: hold-out included
    sha256: str  #: of feature names, rows and targets, in their order


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate said of a version when it was made."""

    promote: bool
    reason: str  #: a sentence for people, with the numbers that decided
    champion: str | None = None  #: the version that it was held against


class Card(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    model: str
    version: str
    created: Annotated[datetime, Meta(tz=True)]  #: UTC
    task: Task
    target: str
    features: tuple[Feature, ...]  #: in the order of a request's columns
    classes: tuple[Scalar, ...] | None  #: columns of ``predict_proba``; None for a regression
    methods: tuple[str, ...]  #: what a request may call
    metrics: dict[str, float]  #: on the hold-out
    data: DataFingerprint
    libraries: dict[str, str]  #: distribution → version that fitted and saved it
    example: tuple[Scalar, ...]  #: one row, for warming up
    parameters: dict[str, str] = {}  #: how the estimator was made: its part and name → value, in words
    judgement: Judgement | None = None  #: None on cards of before 0.2, and where nobody judged
    evaluation: dict[str, Any] = {}  #: all that was found on the hold-out, as training has it
    files: dict[str, FileDigest] = {}  #: every other signed file of the version

    def encode(self) -> bytes:
        """As JSON, indented: operators read it too."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class _Head(msgspec.Struct):
    format: int


def decode(raw: bytes) -> Card:
    """Read what :meth:`Card.encode` wrote.

    Raises:
        IncompatibleModel: another format, or not a card at all; the sentence says which.
    """
    try:
        found = msgspec.json.decode(raw, type=_Head).format
        if found != FORMAT:
            raise IncompatibleModel(
                f"the card has format {found}, this Modelane reads format {FORMAT}: "
                "upgrade the older of worker and trainer"
            )
        return msgspec.json.decode(raw, type=Card)
    except msgspec.MsgspecError as exc:
        raise IncompatibleModel(f"this is not a card that Modelane can read: {exc}") from exc


def new_version(now: datetime, entropy: bytes) -> str:
    """A version's id, such as ``20261122T113000-1a2b3c4d``: sorts by time, readable, unique.

    Args:
        now: with a time zone.
        entropy: four random bytes; they keep two trainers apart that finish in the same second.
    """
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{entropy[:4].hex():0>8}"


def no_version(model: str, name: str) -> str:
    """A sentence for callers who ask for a version that cannot be."""
    return f"{name!r:.80} is no version of {model}: give all of it, such as 20261122T113000-1a2b3c4d"


def is_version(name: str) -> bool:
    return _VERSION.fullmatch(name) is not None


def check_version(name: str) -> str:
    """Return ``name`` if it is a version's id, and so a folder name that cannot lead elsewhere.

    Raises:
        StoreError: it is not.
    """
    if is_version(name):
        return name
    raise StoreError(f"{name!r:.80} is not a version; one looks like 20261122T113000-1a2b3c4d")
