"""What Redis does for clients and lanes, as dictionaries of this process: see :mod:`modelane.keys`.

One lock stands for Redis's one thread; a message is gone when it is taken, for no worker is lost here.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence

from modelane.broker.leased_queue import DEFAULT_RETRY_AFTER_S, IdempotencyKey, LeasedQueue
from modelane.broker.request_control import RequestControl
from modelane.client.reply_listener import LOOK_S, Replies, Reply
from modelane.client.unknown_models import Found, Unserved
from modelane.errors import Expired, QueueFull
from modelane.keys import PRIORITIES, RESULT_KEY_PREFIX, priority_step
from modelane.protocol.message import read_envelope
from modelane.protocol.serializer import loads


class Memory:
    """Safe to share between threads.

    Attributes:
        changed: guards all of it; notified when something was put.
        revoked: ids.
        served: models.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.revoked: set[str] = set()
        self.served: set[str] = set()
        self._waiting: defaultdict[str, tuple[deque[bytes], ...]] = defaultdict(
            lambda: tuple(deque() for _ in PRIORITIES)
        )
        self._stored: dict[str, tuple[bytes, float]] = {}  # id → document, and until when
        self._listening: dict[str, Callable[[bytes], None]] = {}
        self._attached: defaultdict[str, set[str]] = defaultdict(set)

    def put(
        self,
        queue: str,
        messages: Sequence[bytes],
        *,
        max_depth: int,
        priority: int,
        idempotency_keys: Sequence[IdempotencyKey],
    ) -> list[int]:
        """As :meth:`modelane.broker.leased_queue.LeasedQueue.put`."""
        with self.changed:
            known, new = [], []
            records: dict[str, IdempotencyKey] = {}
            for position, message in enumerate(messages):
                key = idempotency_keys[position] if idempotency_keys else None
                if key and (key.id in records or self._is_known(key.id)):
                    known.append(position)
                else:
                    new.append(message)
                    records |= {key.id: key} if key else {}
            depth = self.depth(queue)
            if new and depth + len(new) > max_depth:
                raise QueueFull(queue, depth, max_depth, DEFAULT_RETRY_AFTER_S)
            for id_, record in records.items():
                self._store(id_, record.placeholder, record.ttl_s)
            self._waiting[queue][priority_step(priority)].extend(new)
            self.changed.notify_all()
            return known

    def depth(self, queue: str) -> int:
        return sum(map(len, self._waiting[queue]))

    def take(self, queue: str, most: int) -> list[bytes]:
        """Up to so many messages, the most urgent first."""
        with self.changed:
            taken: list[bytes] = []
            for waiting in self._waiting[queue]:
                while waiting and len(taken) < most:
                    taken.append(waiting.popleft())
            return taken

    def take_back(self, queue: str, ids: Collection[str]) -> frozenset[str]:
        """Requests that nobody is to begin with; those of ``ids`` that waited."""
        with self.changed:
            found = set()
            for waiting in self._waiting[queue]:
                for message in list(waiting):
                    if (id_ := read_envelope(message).headers.id) in ids:
                        waiting.remove(message)
                        self._stored.pop(id_, None)  # an id that its caller has named is free again
                        found.add(id_)
            return frozenset(found)

    def settle(self, id_: str, document: bytes, *, ttl_s: float, reply_to: str) -> None:
        """Store an outcome, and tell those who wait for it."""
        with self.changed:
            if ttl_s:
                self._store(id_, document, ttl_s)
            channels = {reply_to, *self._attached.pop(id_, ())} if ttl_s else set()
            told = [self._listening[channel] for channel in channels if channel in self._listening]
        for tell in told:  # without the lock: a future's callback may do anything
            tell(b"\x91" + document)  # an array of one, in MessagePack

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Results by their keys."""
        with self.changed:
            return [self._result(key.removeprefix(RESULT_KEY_PREFIX)) for key in keys]

    def listen(self, channel: str, tell: Callable[[bytes], None]) -> None:
        self._listening[channel] = tell

    def leave(self, channel: str) -> None:
        self._listening.pop(channel, None)

    def attach(self, id_: str, channel: str) -> None:
        with self.changed:
            self._attached[id_].add(channel)

    def _store(self, id_: str, document: bytes, ttl_s: float) -> None:
        self._stored[id_] = document, time.monotonic() + ttl_s

    def _result(self, id_: str) -> bytes | None:
        document, until_s = self._stored.get(id_, (None, 0.0))
        return document if time.monotonic() < until_s else None

    def _is_known(self, id_: str) -> bool:
        document = self._result(id_)
        if document is None:
            return False
        result = loads(document)["result"]
        # What no worker came to in time was not computed: it may be put again.
        return not (isinstance(result, dict) and result.get("exc_type") == Expired.__name__)


class MemoryQueue(LeasedQueue):
    """What an outbox needs of a queue."""

    def __init__(self, memory: Memory, name: str) -> None:
        self._memory = memory
        self._name = name

    def put(
        self,
        messages: Sequence[bytes],
        *,
        max_depth: int,
        priority: int = 0,
        token: str | None = None,
        idempotency_keys: Sequence[IdempotencyKey] = (),
    ) -> list[int]:
        return self._memory.put(
            self._name,
            messages,
            max_depth=max_depth,
            priority=priority,
            idempotency_keys=idempotency_keys,
        )


class MemoryRequestControl(RequestControl):
    """Acts on requests by their ids, in memory."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def attach(self, ids: Collection[str], *, channel: str, timeout_s: float) -> set[str]:
        for id_ in ids:
            self._memory.attach(id_, channel)
        return self._memory.revoked.intersection(ids)

    def revoke(self, ids: Collection[str]) -> None:
        self._memory.revoked.update(ids)


class MemoryUnserved(Unserved):
    """What a client finds out about a model."""

    def __init__(self, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = memory
        self._clock = clock

    def find(self, model: str, queue: str, ids: Sequence[str]) -> Found:
        with self._memory.changed:
            names = sorted(self._memory.served)
            if model in names or not names:
                return Found(True, model in names, frozenset(), names)
            return Found(False, False, self._memory.take_back(queue, ids), names)


class MemoryReplies(Replies):
    """Delivers in the thread of whoever settles; its own looks over what is pending."""

    def __init__(
        self,
        memory: Memory,
        channel: str,
        *,
        deliver: Callable[[Reply], None],
        pending: Callable[[float], list[str]],
    ) -> None:
        super().__init__(
            memory,  # type: ignore[arg-type]  # only its mget is asked for
            channel,
            "",
            deliver=deliver,
            pending=pending,
            reconnected=lambda: None,
        )
        self._memory = memory

    def start(self) -> None:
        self._memory.listen(self._channel, self._deliver_all)
        super().start()

    def close(self, timeout_s: float) -> None:
        self._memory.leave(self._channel)
        super().close(timeout_s)

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            self._pending(LOOK_S)
