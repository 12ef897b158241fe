"""Searches whose trials are kept on Redis: resumed by who takes a run over, helped by idle trainers.

search, helping → STUDIES → Redis.  Optuna's journal is a list of JSON, one change a line.  (Its own backend
for Redis keeps a pickle beside the journal, which whoever can write to Redis could make a trainer run.)
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from modelane.broker.connection import broker_errors, connect, server_time_s
from modelane.errors import BrokerUnavailable
from modelane.keys import SEARCH_KEY_PREFIX, SEARCH_TTL_S, SEARCHES_KEY
from modelane.settings import Settings

#: While Redis is away, a search waits for it so long, and looks so often.
PATIENCE_S, LOOK_S = 60.0, 0.5
#: Optuna's number for the change that begins a journal.
_CREATE_STUDY = 0
#: So many lines at the end of a journal may be those of others, since we wrote one and heard no answer.
_RECENT = 1000

T = TypeVar("T")


class StudyGone(Exception):
    """Its journal is not there any more: its search is over, or Redis has lost it."""


@dataclass(frozen=True, slots=True)
class OpenSearch:
    """One that goes on, and takes help."""

    model: str
    run_id: str


class Alone:
    """Trials in this process's memory: nobody helps, and they end with it."""

    def __init__(self) -> None:
        self._storage = InMemoryStorage()

    def storage(self, run_id: str) -> BaseStorage:
        return self._storage

    def announce(self, model: str, run_id: str, for_s: float) -> None:
        pass

    def withdraw(self, model: str, run_id: str) -> None:
        pass


class Studies:
    """Raises ``BrokerRefused`` where Redis does not allow it.

    Args:
        sleep: waits so many seconds.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._sleep = sleep

    def storage(self, run_id: str) -> BaseStorage:
        """Where the trials of a run are, or will be."""
        return JournalStorage(_Journal(self._redis, self._key(run_id), self._sleep))

    def announce(self, model: str, run_id: str, for_s: float) -> None:
        """Let others help for so long; nobody does if Redis is away just now."""
        with suppress(BrokerUnavailable), broker_errors():
            until_s = server_time_s(self._redis) + for_s
            self._redis.zadd(self._prefix + SEARCHES_KEY, {f"{model} {run_id}": until_s})
            self._redis.expire(self._prefix + SEARCHES_KEY, SEARCH_TTL_S)

    def open_ones(self) -> list[OpenSearch]:
        """What can be helped now."""
        with broker_errors():
            self._redis.zremrangebyscore(self._prefix + SEARCHES_KEY, "-inf", server_time_s(self._redis))
            found: Any = self._redis.zrange(self._prefix + SEARCHES_KEY, 0, -1)
        pairs = (member.decode().partition(" ") for member in found)
        return [OpenSearch(model, run_id) for model, _, run_id in pairs]

    def withdraw(self, model: str, run_id: str) -> None:
        """No help is needed any more; the trials stay for who goes on with the run."""
        with suppress(BrokerUnavailable), broker_errors():
            self._redis.zrem(self._prefix + SEARCHES_KEY, f"{model} {run_id}")

    def remove(self, model: str, run_id: str) -> None:
        """Nobody will go on with the run.  What cannot be removed now expires."""
        self.withdraw(model, run_id)
        with suppress(BrokerUnavailable), broker_errors():
            self._redis.delete(self._key(run_id))

    def _key(self, run_id: str) -> str:
        return f"{self._prefix}{SEARCH_KEY_PREFIX}{run_id}"


class _Journal(BaseJournalBackend):
    def __init__(self, client: redis.Redis, key: str, sleep: Callable[[float], None]) -> None:
        self._redis, self._key, self._sleep = client, key, sleep

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        lines: Any = self._patiently(lambda: self._redis.lrange(self._key, log_number_from, -1))
        return [json.loads(line) for line in lines]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            self._patiently(_Push(self._redis, self._key, log))

    def _patiently(self, ask: Callable[[], T]) -> T:
        for _ in range(int(PATIENCE_S / LOOK_S)):
            try:
                with broker_errors():
                    return ask()
            except BrokerUnavailable:
                self._sleep(LOOK_S)
        with broker_errors():
            return ask()


class _Push:
    """One line, once: where an answer was lost, it may be there already."""

    def __init__(self, client: redis.Redis, key: str, log: dict[str, Any]) -> None:
        self._redis, self._key = client, key
        self._line = json.dumps(log | {"line": uuid.uuid4().hex})
        self._begins = log["op_code"] == _CREATE_STUDY
        self._tried = False

    def __call__(self) -> None:
        if self._tried and self._is_there():
            return
        self._tried = True
        push = self._redis.rpush if self._begins else self._redis.rpushx
        if not push(self._key, self._line):
            raise StudyGone(self._key)
        self._redis.expire(self._key, SEARCH_TTL_S)

    def _is_there(self) -> bool:
        recent: Any = self._redis.lrange(self._key, -_RECENT, -1)
        return self._line.encode() in recent
