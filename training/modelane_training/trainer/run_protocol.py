"""Messages between a trainer and the process of a run: one JSON document per line, never pickle.

The trainer sends one :class:`RunOrder`, and then ``GO`` for each step that needs its permission. The run
sends a :class:`Step` for each step, and finally :class:`Done` or :class:`Failed`. It sends neither if it was
killed.
"""

from __future__ import annotations

from typing import Any

import msgspec

#: Maximum bytes of one line. A longer line was not written by this module.
MAX_LINE = 2**20

#: Steps that change the model store. They must not start if another trainer has taken over the run.
NEEDS_PERMISSION = frozenset({"publish", "promote"})

GO = b"go\n"


class RunOrder(msgspec.Struct, frozen=True):
    """Which model to train, as which run."""

    model: str
    run_id: str
    help_search: bool = False  #: only take trials of the search of this run, which another trainer executes
    foreground: bool = False  #: started by `modelane train`: ``model`` may be the path of a recipe


class Step(msgspec.Struct, frozen=True, tag="step"):
    """A step has started or made progress. A step that ``NEEDS_PERMISSION`` waits for :data:`GO`."""

    step: str
    detail: str


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The run has finished."""

    result: dict[str, Any]  #: what the caller receives


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The run has failed. The model in service has not changed."""

    code: str  #: name of an error class of :mod:`modelane.errors`
    sentence: str


Message = Step | Done | Failed

_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def write(message: Message | RunOrder) -> bytes:
    return msgspec.json.encode(message) + b"\n"


def read(line: bytes) -> Message:
    """Decode a message of a run.

    Raises:
        msgspec.MsgspecError: the line is not a message.
    """
    return _decoder.decode(line)


def read_order(line: bytes) -> RunOrder:
    """Decode the order of a trainer.

    Raises:
        msgspec.MsgspecError: the line is not an order.
    """
    return msgspec.json.decode(line, type=RunOrder)
