"""The leased queue: put, reserve, then settle or release. Each verb is one atomic Lua script.

A message is in exactly one place: waiting in one of four lists, or leased. A worker that reserves it gets a
*tag*, the right to answer it until the lease expires; then the message returns to its list by itself.
Settling with a tag whose lease was lost changes nothing, so exactly one answer is stored. This module does
not look into messages. Clients put; the lanes of workers do the rest.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain

import redis
from redis.exceptions import NoScriptError

from modelane.broker.connection import broker_errors
from modelane.broker.lease import IdempotencyKey, Lease, Reserved, Settlement
from modelane.broker.scripts import Script, ask
from modelane.errors import BrokerUnavailable, QueueFull
from modelane.keys import (
    ATTACHED_KEY,
    GIVEN_UP_TTL_S,
    PUT_TTL_S,
    RATE_TIME_CONSTANT_S,
    RATE_TTL_S,
    RESULT_KEY_PREFIX,
    SUSPECT_KEY_PREFIX,
    QueueKeys,
    priority_step,
)

#: Seconds after which callers of a full lane should retry while its rate is unknown, and the bounds of that
#: time once it is known: retrying sooner costs more than it gains; waiting longer could miss that workers are
#: back.
DEFAULT_RETRY_AFTER_S = 1.0
SHORTEST_RETRY_AFTER_S, LONGEST_RETRY_AFTER_S = 0.05, 60.0

#: Reserves whose reply was lost and that the next reserve asks about. The messages of older ones return when
#: their lease expires.
MAX_LOST_REPLIES = 100


class LeasedQueue:
    """One queue on Redis; thread-safe.

    Every method raises ``BrokerUnavailable`` if Redis does not answer. The call can then be repeated: running
    a verb twice is harmless. ``BrokerRefused`` means that an operator must act.

    Args:
        client: connection to Redis; :meth:`wait` blocks one of its connections.
        keys: keys of the queue.
        process: identifies the process that holds the leases; letters and digits. Random by default.
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
        self._lost_replies: deque[str] = deque(maxlen=MAX_LOST_REPLIES)  # tokens of those reserves

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
                    *(RATE_TIME_CONSTANT_S, RATE_TTL_S),
                    *messages,
                    *(key.placeholder for key in idempotency_keys),
                    *(math.ceil(key.ttl_s) for key in idempotency_keys),
                ),
            )
        if not accepted:
            expected_s = float(details or DEFAULT_RETRY_AFTER_S)
            retry_after_s = min(max(expected_s, SHORTEST_RETRY_AFTER_S), LONGEST_RETRY_AFTER_S)
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
        """Lease up to a batch of messages that wait or have become due (lost leases, retries, ETAs).

        If the reply is lost (``BrokerUnavailable``), the next call returns what the lost call had leased; a
        lost call that reaches Redis later does nothing. A message that has lost workers is served in smaller
        batches, and alone on its last attempt.

        Args:
            lease_s: seconds until the leases expire.
            max_requests: maximum number of messages.
            max_rows: maximum sum of their rows; the first message may exceed it.
            max_bytes: maximum sum of their bytes; the first message may exceed it.
            max_attempts: attempts after which a message becomes a dead letter.
            only_first_attempts: leave messages that have lost a worker to others.
        """
        token = f"{self._process}.{os.urandom(6).hex()}"
        lost = self._take_lost_replies()
        try:
            with broker_errors():
                now, *batches = self._reserve(
                    keys=self._reserve_keys,
                    args=(
                        *(lease_s, max_requests, max_rows, max_bytes),
                        *(token, max_attempts, int(only_first_attempts)),
                        *(self.keys.prefix + SUSPECT_KEY_PREFIX, GIVEN_UP_TTL_S),
                        *lost,
                    ),
                )
        except BrokerUnavailable:
            self._lost_replies.extend((*lost, token))
            raise
        leases = [
            Lease(b"%b:%d" % (batch, number), message)
            for batch, messages in zip(batches[::2], batches[1::2], strict=True)
            for number, message in enumerate(messages, start=1)
        ]
        return Reserved(float(now), tuple(leases))

    def _take_lost_replies(self) -> list[str]:
        """Give each token to one thread only, so that no message is answered twice."""
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(self._lost_replies.popleft())
        return taken

    def settle(self, settlements: Sequence[Settlement]) -> frozenset[int]:
        """Store and publish the outcomes of leased messages and drop their leases.

        Args:
            settlements: one per lease.

        Returns:
            Positions of the outcomes that were ignored because their lease was lost.
        """
        prefix = self.keys.prefix
        ways: dict[tuple[float, str, str], int] = {}
        batches: dict[bytes, list[bytes | str | int]] = {}
        positions: dict[bytes, list[int]] = {}
        for position, s in enumerate(settlements):
            batch, _, number = s.tag.rpartition(b":")
            way = ways.setdefault((s.ttl_s, s.reply_to, s.bury_reason), len(ways) + 1)
            batches.setdefault(batch, []).extend((number, s.id, s.value, way))
            positions.setdefault(batch, []).append(position)
        args: list[bytes | str | int] = [
            prefix + RESULT_KEY_PREFIX,
            RATE_TIME_CONSTANT_S,
            RATE_TTL_S,
            len(ways),
        ]
        for ttl_s, reply_to, bury_reason in ways:
            args += (math.ceil(ttl_s), prefix + reply_to if reply_to else "", bury_reason)
        for batch, outcomes in batches.items():
            args += (batch, len(positions[batch]), *outcomes)
        with broker_errors():
            ignored = self._settle(keys=self._settle_keys, args=args)
        by_batch = list(chain.from_iterable(positions.values()))
        return frozenset(by_batch[number] for number in ignored)

    def stored(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored result documents of requests; None for those without one."""
        with broker_errors():
            found: list[bytes | None] = self._redis.mget(  # type: ignore[assignment]  # redis-py: or awaitable
                [f"{self.keys.prefix}{RESULT_KEY_PREFIX}{id_}" for id_ in ids]
            )
        return found

    def release(self, tags: Iterable[bytes], *, delay_s: float, counts: bool) -> int:
        """Give leased messages back to the queue.

        Args:
            tags: of leases that this worker holds.
            delay_s: seconds until they can be reserved again.
            counts: whether this counts as an attempt (a retry) or not (an ETA, a shutdown).

        Returns:
            Number of messages whose lease was still held.
        """
        places = chain.from_iterable(
            (batch, number) for batch, _, number in (t.rpartition(b":") for t in tags)
        )
        with broker_errors():
            return int(self._release(keys=self._lease_keys, args=(delay_s, int(counts), *places)))

    def renew(self, tags: Iterable[bytes], *, lease_s: float) -> int:
        """Extend the leases of whole batches.

        Args:
            tags: of leases in those batches.
            lease_s: seconds from now until the leases expire.

        Returns:
            Number of batches that are still held.
        """
        batches = dict.fromkeys(tag.rpartition(b":")[0] for tag in tags)
        with broker_errors():
            return int(self._renew(keys=self._lease_keys, args=(lease_s, *batches)))

    def report_progress(
        self, tag: bytes, id_: str, value: bytes, *, ttl_s: float, reply_to: str = ""
    ) -> bool:
        """Store and publish the progress of a leased request.

        Args:
            tag: of its lease.
            id_: of the request.
            value: encoded result document with a state that is not final.
            ttl_s: how long it is kept if no result replaces it.
            reply_to: as in :class:`Settlement`.

        Returns:
            False if the lease was lost.
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
        """Wait until a message is put into the list of the highest priority, and take nothing.

        Moves the tail of the list onto itself, so a crash between waking and reserving loses nothing.

        Args:
            timeout_s: maximum time to wait.

        Returns:
            Whether there is something to reserve, in any list or because it is due.
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
        """Return the number of waiting messages, without the leased ones."""
        with broker_errors():
            return sum(int(self._redis.llen(key)) for key in self.keys.priorities)
