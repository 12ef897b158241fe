"""A fake worker that a test controls: its model returns the sum of each row."""

from __future__ import annotations

import threading
import time
from typing import Self

import msgspec
import redis

from modelane.broker.lease import Lease, Settlement
from modelane.broker.leased_queue import LeasedQueue
from modelane.errors import BrokerUnavailable, ModelaneError
from modelane.keys import QueueKeys, predict_queue
from modelane.protocol import message, result
from modelane.protocol.predict_request import read_request
from support.waiting import eventually

MODEL = "sums"

DEADLINE_S = 20.0


class Lane:
    """Answers on command; as a context manager it answers by itself."""

    def __init__(self, server: redis.Redis, model: str, prefix: str = "") -> None:
        self._queue = LeasedQueue(server, QueueKeys(predict_queue(model), prefix))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def take(self, n: int = 1) -> list[Lease]:
        """Wait for ``n`` requests."""
        taken: list[Lease] = []

        def is_enough() -> bool:
            taken.extend(self._reserve())
            return len(taken) >= n

        eventually(is_enough, f"{n} requests", DEADLINE_S, poll_s=0.001)
        return taken

    def answer(self, leases: list[Lease], error: ModelaneError | None = None) -> None:
        settlements = [self._settlement(lease, error) for lease in leases]
        while True:
            try:
                self._queue.settle(settlements)
            except BrokerUnavailable:  # a test that breaks connections breaks this one too
                self._closing.wait(0.01)
            else:
                return

    def settle(self, lease: Lease, value: bytes) -> None:
        """Answer with the given bytes."""
        envelope = message.read_envelope(lease.message)
        self._queue.settle([Settlement(lease.tag, envelope.headers.id, value, 60, envelope.reply_to)])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._queue.wait(0.05)
                if leases := self._reserve():
                    self.answer(leases)
            except BrokerUnavailable:
                self._closing.wait(0.01)

    def _reserve(self) -> list[Lease]:
        reserved = self._queue.reserve(
            lease_s=60, max_requests=1000, max_rows=10**6, max_bytes=10**9, max_attempts=3
        )
        return list(reserved.leases)

    def _settlement(self, lease: Lease, error: ModelaneError | None) -> Settlement:
        envelope = message.read_envelope(lease.message)
        if error is not None:
            value = result.write_failure(envelope, error, time.time())
        else:
            rows = read_request(envelope, message.read_body(envelope)).rows
            value = result.write_result(envelope, said(rows.array().sum(axis=1)), time.time())
        ttl_s = 0 if envelope.headers.ignore_result else 60
        return Settlement(lease.tag, envelope.headers.id, value, ttl_s, envelope.reply_to)


def said(values: object) -> dict[str, object]:
    """Return a result as a worker stores it."""
    return {
        "values": values,
        "model": MODEL,
        "version": "v1",
        "method": "predict",
        "queued_s": 0.0,
        "predict_s": 0.0,
        "batch_rows": 1,
    }


def deeply_nested(id_: str, form: str) -> bytes:
    """Return a result document that is nested too deeply for a decoder."""
    fields = {"task_id": id_, "status": "SUCCESS"}
    if form == "json":
        return msgspec.json.encode(fields)[:-1] + b',"result":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    document = msgspec.msgpack.encode(fields)
    return b"\x83" + document[1:] + msgspec.msgpack.encode("result") + b"\x91" * 10_000 + b"\x90"
