"""The part of Redis that clients and lanes use, as dictionaries in this process.

One lock stands for Redis's single thread. A message is removed when it is taken, because no worker is lost
here.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from modelane.broker.lease import IdempotencyKey
from modelane.broker.leased_queue import DEFAULT_RETRY_AFTER_S, LeasedQueue
from modelane.broker.request_control import ModelStatus, RequestControl
from modelane.client.transport.redis_link import RedisLink, Subscription
from modelane.errors import BrokerUnavailable, Expired, QueueFull
from modelane.keys import PRIORITIES, predict_queue, priority_step
from modelane.protocol.message import read_envelope
from modelane.protocol.serializer import loads


class Memory:
    """The shared state of clients and lanes; thread-safe.

    Attributes:
        changed: guards the state; notified when messages are put.
        revoked: ids of revoked requests.
        served: names of the models.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.revoked: set[str] = set()
        self.served: set[str] = set()
        self._waiting: defaultdict[str, tuple[deque[bytes], ...]] = defaultdict(
            lambda: tuple(deque() for _ in PRIORITIES)
        )
        self._stored: dict[str, tuple[bytes, float]] = {}  # id: document, and when it expires
        self._subscribers: dict[str, Callable[[bytes], None]] = {}
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
        """Append messages: see :meth:`modelane.broker.leased_queue.LeasedQueue.put`."""
        with self.changed:
            known, new = [], []
            keys: dict[str, IdempotencyKey] = {}
            for position, message in enumerate(messages):
                key = idempotency_keys[position] if idempotency_keys else None
                if key and (key.id in keys or self._is_known(key.id)):
                    known.append(position)
                else:
                    new.append(message)
                    keys |= {key.id: key} if key else {}
            depth = self.depth(queue)
            if new and depth + len(new) > max_depth:
                raise QueueFull(queue, depth, max_depth, DEFAULT_RETRY_AFTER_S)
            for id_, key in keys.items():
                self._store(id_, key.placeholder, key.ttl_s)
            self._waiting[queue][priority_step(priority)].extend(new)
            self.changed.notify_all()
            return known

    def depth(self, queue: str) -> int:
        """Return the number of waiting messages."""
        return sum(map(len, self._waiting[queue]))

    def take(self, queue: str, max_messages: int) -> list[bytes]:
        """Remove and return messages, the most urgent first."""
        with self.changed:
            taken: list[bytes] = []
            for waiting in self._waiting[queue]:
                while waiting and len(taken) < max_messages:
                    taken.append(waiting.popleft())
            return taken

    def withdraw(self, queue: str, ids: Collection[str]) -> frozenset[str]:
        """Remove waiting requests; return the ids of those that were found."""
        with self.changed:
            found = set()
            for waiting in self._waiting[queue]:
                for message in list(waiting):
                    if (id_ := read_envelope(message).headers.id) in ids:
                        waiting.remove(message)
                        self._stored.pop(id_, None)  # an id that the caller chose can be used again
                        found.add(id_)
            return frozenset(found)

    def settle(self, id_: str, document: bytes, *, ttl_s: float, reply_to: str) -> None:
        """Store a result and publish it to all clients that wait for it."""
        with self.changed:
            if ttl_s:
                self._store(id_, document, ttl_s)
            channels = {reply_to, *self._attached.pop(id_, ())} if ttl_s else set()
            for channel in channels:
                if (publish := self._subscribers.get(channel)) is not None:
                    publish(b"\x91" + document)  # a MessagePack array with one element

    def results(self, ids: Sequence[str]) -> list[bytes | None]:
        """Return the stored result of each request."""
        with self.changed:
            return [self._result(id_) for id_ in ids]

    def subscribe(self, channel: str, publish: Callable[[bytes], None]) -> None:
        """Call a function with everything that is published to a channel; it must not block."""
        self._subscribers[channel] = publish

    def unsubscribe(self, channel: str) -> None:
        self._subscribers.pop(channel, None)

    def attach(self, id_: str, channel: str) -> None:
        """Publish the result of a request to one more channel."""
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
        # A request that expired before a worker started it was not computed, and may be put again.
        return not (isinstance(result, dict) and result.get("exc_type") == Expired.__name__)


class MemoryLink(RedisLink):
    """A client's link to the memory instead of Redis."""

    def __init__(self, memory: Memory, channel: str) -> None:
        self.channel = channel
        self.requests = MemoryRequestControl(memory)
        self._memory = memory
        self._messages: SimpleQueue[bytes | None] = SimpleQueue()

    def queue(self, name: str) -> MemoryQueue:
        return MemoryQueue(self._memory, name)

    @contextmanager
    def subscription(self) -> Iterator[Subscription]:
        self._memory.subscribe(self.channel, self._messages.put)
        yield _MemorySubscription(self._messages)

    def close(self) -> None:
        self._memory.unsubscribe(self.channel)
        self._messages.put(None)


class _MemorySubscription:
    def __init__(self, messages: SimpleQueue[bytes | None]) -> None:
        self._messages = messages

    def get_message(self, *, timeout: float) -> dict[str, object] | None:
        try:
            published = self._messages.get(timeout=timeout)
        except Empty:
            return None
        if published is None:
            raise BrokerUnavailable("the client was closed")
        return {"type": "message", "data": published}


class MemoryQueue(LeasedQueue):
    """The part of a leased queue that an outbox uses."""

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
    """The commands of a client about requests by their ids."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def attach(self, ids: Collection[str], *, channel: str, timeout_s: float) -> set[str]:
        for id_ in ids:
            self._memory.attach(id_, channel)
        return self._memory.revoked.intersection(ids)

    def revoke(self, ids: Collection[str]) -> None:
        self._memory.revoked.update(ids)

    def results(self, ids: Sequence[str]) -> list[bytes | None]:
        return self._memory.results(ids)

    def withdraw_unknown(self, model: str, ids: Sequence[str]) -> ModelStatus:
        with self._memory.changed:
            served = sorted(self._memory.served)
            if model in served or not served:
                return ModelStatus(True, model in served, frozenset(), served)
            return ModelStatus(False, False, self._memory.withdraw(predict_queue(model), ids), served)
