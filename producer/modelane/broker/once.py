"""That a request whose id its caller has named is computed once, whoever sends it again.

client → ONCE → queue.put_once.  The id is taken as long as something is stored in the place of its result.
"""

from __future__ import annotations

import msgspec

from modelane.protocol.result import write_taken


class Once(msgspec.Struct, frozen=True, gc=False):
    """Put only if the id is not known: neither waiting, nor computed, nor answered.

    Attributes:
        id: of its request.
        record: stored under the id as long as there is no answer.
        ttl_s: how long it stays, if none comes.
    """

    id: str
    record: bytes
    ttl_s: float


def once(id_: str, *, is_ignored: bool, ttl_s: float, compute_s: float) -> Once:
    """For a request that a worker may begin for ``ttl_s`` and then computes for at most ``compute_s``."""
    return Once(id_, write_taken(id_, is_ignored), ttl_s + compute_s)
