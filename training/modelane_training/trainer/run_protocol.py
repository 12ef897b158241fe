"""What a trainer and the process of a run say to each other: JSON, one message a line, never pickle.

trainer  →  Order, then "go" for each step that asks
run      →  Step …, then Done or Failed; neither if it was killed
"""

from __future__ import annotations

from typing import Any

import msgspec

#: Bytes of one line; a longer one is no message of ours.
MAX_LINE = 2**20

#: Steps that nobody may take whose run is another trainer's by now.
ASKING = frozenset({"publish", "promote"})

GO = b"go\n"


class Order(msgspec.Struct, frozen=True):
    """Whose model to train, as which run."""

    model: str
    run_id: str
    helps: bool = False  #: to take trials of the run's search only; another trainer has the run
    by_hand: bool = False  #: by a person, who waits for it here: ``model`` may be a recipe's path


class Step(msgspec.Struct, frozen=True, tag="step"):
    """A step begins, or has come further; one of ``ASKING`` waits for :data:`GO`."""

    step: str
    detail: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The run ended; what its caller is told."""

    result: dict[str, Any]


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Nothing changed in service."""

    code: str  #: name of one of :mod:`modelane.errors`
    sentence: str


Said = Step | Done | Failed

_decoder: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def write(said: Said | Order) -> bytes:
    return msgspec.json.encode(said) + b"\n"


def read(line: bytes) -> Said:
    """Raises :class:`msgspec.MsgspecError`: not a message."""
    return _decoder.decode(line)


def read_order(line: bytes) -> Order:
    """Raises :class:`msgspec.MsgspecError`: not an order."""
    return msgspec.json.decode(line, type=Order)
