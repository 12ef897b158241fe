"""What a leased queue takes and gives: leases, settlements, and keys against repeats."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to answer one message until its lease expires."""

    tag: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Reserved:
    """The messages that one reserve leased.

    Attributes:
        now_s: Unix seconds on the clock of Redis, against which deadlines and ETAs are checked.
        leases: in the order in which to serve them.
    """

    now_s: float
    leases: tuple[Lease, ...]


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one leased message.

    Attributes:
        tag: of the lease under which it was computed.
        id: of the request; the result is stored under it.
        value: encoded result document.
        ttl_s: how long the result is kept; 0 to store none.
        reply_to: channel of the waiting client, without prefix; empty for the result's own channel.
        bury_reason: why the message becomes a dead letter; empty if it does not.
    """

    tag: bytes
    id: str
    value: bytes
    ttl_s: float
    reply_to: str = ""
    bury_reason: str = ""


class IdempotencyKey(msgspec.Struct, frozen=True, gc=False):
    """The id of a request that is put only once.

    The message is left out if a request with this id waits, is being computed or was answered.

    Attributes:
        id: of the request.
        placeholder: result document stored under the id until the answer replaces it.
        ttl_s: how long the placeholder is kept if no answer comes.
    """

    id: str
    placeholder: bytes
    ttl_s: float
