"""The leased queue: put → reserve → settle | release.  Each verb is one atomic script.

A message is in exactly one place: waiting in one of four lists, or leased.  Whoever reserves it holds a
*tag*, the right to answer until the lease runs out; then it returns to its list by itself.  Settling with a
tag that is no longer held changes nothing, so exactly one answer stands.  Nothing here knows what a message
says.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import msgspec
import redis
from redis.exceptions import NoScriptError

from modelane.broker.connection import broker_errors
from modelane.broker.scripts import Script, ask
from modelane.errors import BrokerUnavailable, QueueFull
from modelane.keys import (
    ATTACHED_KEY,
    GIVEN_UP_TTL_S,
    PUT_TTL_S,
    RATE_LOOKS_BACK_S,
    RATE_TTL_S,
    RESULT_KEY_PREFIX,
    SUSPECT_KEY_PREFIX,
    QueueKeys,
    priority_step,
)

#: Retry-after, in seconds, that a full lane answers as long as its rate is not known; and its bounds: sooner
#: costs more than it gains, later nobody should wait to find a lane whose workers have come back.
DEFAULT_RETRY_AFTER_S = 1.0
SHORTEST_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S = 0.05, 60.0


#: Reserves without a reply that are still asked about; what an older one leased comes back with its lease.
MAX_UNHEARD = 100


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to answer one message, until it returns to the queue."""

    tag: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Reserved:
    """What one reserve got.

    Attributes:
        now_s: Redis time, Unix seconds: the clock that deadlines and ETAs are held against.
        leases: in the order in which they should be served.
    """

    now_s: float
    leases: tuple[Lease, ...]


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """How one leased message ends.

    Attributes:
        tag: the lease under which it was computed.
        id: the request's id; its result is stored under it.
        value: the result as a reader decodes it.
        ttl_s: how long it is kept; 0 if nobody wants it.
        reply_to: channel of the client that waits, without prefix; empty for the result's own channel.
        bury_reason: not empty if the message becomes a dead letter.
    """

    tag: bytes
    id: str
    value: bytes
    ttl_s: float
    reply_to: str = ""
    bury_reason: str = ""


class IdempotencyKey(msgspec.Struct, frozen=True, gc=False):
    """Put a message only if its id is free: no request with it waits, is computed or was answered.

    Attributes:
        id: of the request.
        placeholder: result document stored under the id until the answer replaces it.
        ttl_s: how long the placeholder is kept if no answer comes.
    """

    id: str
    placeholder: bytes
    ttl_s: float


class LeasedQueue:
    """One queue on Redis.  Safe to share between threads.

    Every method raises ``BrokerUnavailable`` if Redis does not answer; calling it again is then always
    right: no verb does harm when it is carried out twice.  ``BrokerRefused`` means that an operator must act.

    Args:
        client: its connection may be kept waiting.
        keys: of the queue.
        process: of which the leases are; letters and digits.
    """

    def __init__(self, client: redis.Redis, keys: QueueKeys, process: str = "") -> None:
        self.keys = keys
        self._process = process or os.urandom(4).hex()
        self._redis = client
        self._put = Script(client, "put")
        self._reserve = Script(client, "reserve")
        self._settle = Script(client, "settle")
        self._release = Script(client, "release")
        self._renew = Script(client, "renew")
        self._progress = Script(client, "progress")
        self._ready = Script(client, "ready")
        self._reserve_keys = (*keys.priorities, keys.leased, keys.leases)
        self._lease_keys = (keys.leased, keys.leases)
        self._settle_keys = (keys.leased, keys.leases, keys.dead, keys.rate, keys.prefix + ATTACHED_KEY)
        self._unheard: deque[str] = deque(maxlen=MAX_UNHEARD)  # tokens of reserves whose reply was lost

    def put(
        self,
        messages: Sequence[bytes],
        *,
        max_depth: int,
        priority: int = 0,
        token: str | None = None,
        idempotency_keys: Sequence[IdempotencyKey] = (),
    ) -> list[int]:
        """Append messages, all or none, except those whose id is taken.

        Args:
            messages: Celery protocol-2 messages as kombu writes them.
            max_depth: messages that may wait in the queue.
            priority: Celery's 0 to 9; on Redis 0 is served first.
            token: identifies this put: a repeat with the same token and messages changes nothing.
            idempotency_keys: one for each message, or none at all.

        Returns:
            Positions of the messages that were left out because their id is taken.

        Raises:
            QueueFull: more than ``max_depth`` messages would wait; nothing was put.
        """
        token = token or os.urandom(9).hex()
        results = (f"{self.keys.prefix}{RESULT_KEY_PREFIX}{key.id}" for key in idempotency_keys)
        with broker_errors():
            accepted, depth, details = self._put(
                keys=(
                    *self.keys.priorities,
                    *(self.keys.put(token), self.keys.rate, self.keys.leased),
                    *results,
                ),
                args=(
                    *(priority_step(priority) + 1, max_depth, PUT_TTL_S, time.time()),
                    *(RATE_LOOKS_BACK_S, RATE_TTL_S),
                    *messages,
                    *(key.placeholder for key in idempotency_keys),
                    *(math.ceil(key.ttl_s) for key in idempotency_keys),
                ),
            )
        if not accepted:
            room_s = float(details or DEFAULT_RETRY_AFTER_S)
            retry_after_s = min(max(room_s, SHORTEST_RETRY_AFTER_S), LONGEST_RETRY_AFTER_S)
            raise QueueFull(self.keys.queue, depth, max_depth, retry_after_s)
        return [int(position) for position in details.split()]

    def reserve(  # noqa: PLR0913  a batch has this many limits
        self,
        *,
        lease_s: float,
        max_requests: int,
        max_rows: int,
        max_bytes: int,
        max_attempts: int,
        only_first_attempts: bool = False,
    ) -> Reserved:
        """Lease what waits, up to a batch; what is due (lost leases, retries, ETAs) included.

        Called again after ``BrokerUnavailable``, it finds what the lost reply had leased; if the lost call
        itself arrives later, it does nothing.  A message that has lost workers shares its batch with few
        others, and with none before its last of ``max_attempts``.
        """
        token = f"{self._process}.{os.urandom(6).hex()}"
        unheard = self._take_unheard()
        try:
            with broker_errors():
                now, *batches = self._reserve(
                    keys=self._reserve_keys,
                    args=(
                        *(lease_s, max_requests, max_rows, max_bytes),
                        *(token, max_attempts, int(only_first_attempts)),
                        *(self.keys.prefix + SUSPECT_KEY_PREFIX, GIVEN_UP_TTL_S),
                        *unheard,
                    ),
                )
        except BrokerUnavailable:
            self._unheard.extend((*unheard, token))
            raise
        leases = [
            Lease(b"%b:%d" % (batch, number), message)
            for batch, messages in zip(batches[::2], batches[1::2], strict=True)
            for number, message in enumerate(messages, start=1)
        ]
        return Reserved(float(now), tuple(leases))

    def _take_unheard(self) -> list[str]:
        """Each goes to one caller only: what it has leased must not be answered twice."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._unheard.popleft())
        return taken

    def settle(self, settlements: Sequence[Settlement]) -> frozenset[int]:
        """Store and publish outcomes, one a lease; return the positions of those whose lease was lost."""
        prefix = self.keys.prefix
        ways: dict[tuple[float, str, str], int] = {}
        batches: dict[bytes, list[bytes | str | int]] = {}
        positions: dict[bytes, list[int]] = {}
        for position, s in enumerate(settlements):
            batch, _, number = s.tag.rpartition(b":")
            way = ways.setdefault((s.ttl_s, s.reply_to, s.bury_reason), len(ways) + 1)
            batches.setdefault(batch, []).extend((number, s.id, s.value, way))
            positions.setdefault(batch, []).append(position)
        args: list[bytes | str | int] = [prefix + RESULT_KEY_PREFIX, RATE_LOOKS_BACK_S, RATE_TTL_S, len(ways)]
        for ttl_s, reply_to, bury_reason in ways:
            args += (math.ceil(ttl_s), prefix + reply_to if reply_to else "", bury_reason)
        for batch, outcomes in batches.items():
            args += (batch, len(positions[batch]), *outcomes)
        with broker_errors():
            ignored = self._settle(keys=self._settle_keys, args=args)
        in_their_order = list(chain.from_iterable(positions.values()))
        return frozenset(in_their_order[number] for number in ignored)

    def stored(self, ids: Sequence[str]) -> list[bytes | None]:
        """What is stored as the results of requests."""
        with broker_errors():
            found: list[bytes | None] = self._redis.mget(  # type: ignore[assignment]  # redis-py: or awaitable
                [f"{self.keys.prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in ids]
            )
        return found

    def release(self, tags: Iterable[bytes], *, delay_s: float, counts: bool) -> int:
        """Give messages back; they can be reserved again after ``delay_s``.

        Args:
            tags: leases that we hold.
            delay_s: seconds from now, on the clock of Redis.
            counts: whether this was an attempt (a retry) or not (an ETA, a shutdown).
        """
        where = chain.from_iterable(
            (batch, number) for batch, _, number in (t.rpartition(b":") for t in tags)
        )
        with broker_errors():
            return int(self._release(keys=self._lease_keys, args=(delay_s, int(counts), *where)))

    def renew(self, tags: Iterable[bytes], *, lease_s: float) -> int:
        """Extend the leases of the batches that these belong to; return how many of those are still ours."""
        batches = dict.fromkeys(tag.rpartition(b":")[0] for tag in tags)
        with broker_errors():
            return int(self._renew(keys=self._lease_keys, args=(lease_s, *batches)))

    def report_progress(
        self, tag: bytes, id_: str, value: bytes, *, ttl_s: float, reply_to: str = ""
    ) -> bool:
        """Store and publish how far a leased request has come; False if the lease was lost.

        Args:
            tag: of its lease.
            id_: the request's.
            value: a result document as a reader decodes it, its state not final.
            ttl_s: how long it is kept, unless the result comes.
            reply_to: as in :class:`Settlement`.
        """
        prefix = self.keys.prefix
        batch, _, number = tag.rpartition(b":")
        with broker_errors():
            is_ours = self._progress(
                keys=(f"{self.keys.leased}.{batch.decode()}", f"{prefix}{RESULT_KEY_PREFIX}{id_}"),
                args=(number, value, math.ceil(ttl_s), prefix + reply_to if reply_to else ""),
            )
        return bool(is_ours)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is put into the first list, at most ``timeout_s``; takes nothing.

        The tail is moved onto itself, so a crash between waking and reserving loses nothing.

        Returns:
            Whether there is something to reserve: there, in another list, or because it is due.
        """
        keys = (*self.keys.priorities, self.keys.leases)
        move = ("BLMOVE", self.keys.first, self.keys.first, "RIGHT", "RIGHT", timeout_s)
        with broker_errors():
            try:
                _, found = ask(self._redis, move, self._ready.command(keys, ()))
            except NoScriptError:
                found = self._ready(keys, ())
        return bool(found)

    def depth(self) -> int:
        """Messages that wait; leased ones not counted."""
        with broker_errors():
            return sum(int(self._redis.llen(key)) for key in self.keys.priorities)
