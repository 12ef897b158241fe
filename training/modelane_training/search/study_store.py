"""Store the trials of searches in Redis, where other trainers can resume or help a search.

A study is Optuna's journal: a list of JSON documents, one change each. Optuna's own Redis backend also stores
a pickle, with which anybody who can write to Redis could execute code on a trainer.
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
from modelane.broker.retry import Outage
from modelane.errors import BrokerUnavailable
from modelane.keys import SEARCH_KEY_PREFIX, SEARCH_TTL_S, SEARCHES_KEY
from modelane.settings import Settings

#: Seconds that a search waits for Redis while it is unavailable.
PATIENCE_S = 60.0
#: Optuna's operation code of the first entry of a journal.
_CREATE_STUDY = 0
#: Entries at the end of a journal among which an entry is looked for after a lost reply.
_RECENT = 1000

T = TypeVar("T")


class StudyGone(Exception):
    """The journal of a study does not exist: the search has ended, or Redis has lost it."""


@dataclass(frozen=True, slots=True)
class ActiveSearch:
    """A search in progress that accepts help."""

    model: str
    run_id: str


class LocalStudyStore:
    """Trials in the memory of this process: no other process can resume or help the search."""

    def __init__(self) -> None:
        self._storage = InMemoryStorage()

    def storage(self, run_id: str) -> BaseStorage:
        return self._storage

    def announce(self, model: str, run_id: str, for_s: float) -> None:
        pass

    def withdraw(self, model: str, run_id: str) -> None:
        pass


class StudyStore:
    """Trials in Redis. All methods raise ``BrokerRefused`` if Redis does not permit a command.

    Args:
        settings: name the server and the prefix of keys.
        sleep: waits for the given seconds.
    """

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._redis = connect(settings)
        self._prefix = settings.prefix
        self._sleep = sleep

    def storage(self, run_id: str) -> BaseStorage:
        """Return the Optuna storage for the trials of a run."""
        return JournalStorage(_Journal(self._redis, self._key(run_id), self._sleep))

    def announce(self, model: str, run_id: str, for_s: float) -> None:
        """Let idle trainers help a search for so many seconds. Without Redis, nobody helps."""
        with suppress(BrokerUnavailable), broker_errors():
            until_s = server_time_s(self._redis) + for_s
            self._redis.zadd(self._prefix + SEARCHES_KEY, {f"{model} {run_id}": until_s})
            self._redis.expire(self._prefix + SEARCHES_KEY, SEARCH_TTL_S)

    def active(self) -> list[ActiveSearch]:
        """Return the searches that accept help now.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with broker_errors():
            self._redis.zremrangebyscore(self._prefix + SEARCHES_KEY, "-inf", server_time_s(self._redis))
            found: Any = self._redis.zrange(self._prefix + SEARCHES_KEY, 0, -1)
        pairs = (member.decode().partition(" ") for member in found)
        return [ActiveSearch(model, run_id) for model, _, run_id in pairs]

    def withdraw(self, model: str, run_id: str) -> None:
        """Stop accepting help for a search. The trials stay, for a trainer that resumes the run."""
        with suppress(BrokerUnavailable), broker_errors():
            self._redis.zrem(self._prefix + SEARCHES_KEY, f"{model} {run_id}")

    def remove(self, model: str, run_id: str) -> None:
        """Delete the trials of a run that will not be resumed. If Redis does not answer, they expire."""
        self.withdraw(model, run_id)
        with suppress(BrokerUnavailable), broker_errors():
            self._redis.delete(self._key(run_id))

    def _key(self, run_id: str) -> str:
        return f"{self._prefix}{SEARCH_KEY_PREFIX}{run_id}"


class _Journal(BaseJournalBackend):
    def __init__(self, client: redis.Redis, key: str, sleep: Callable[[float], None]) -> None:
        self._redis, self._key, self._sleep = client, key, sleep

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        lines: Any = self._with_retries(lambda: self._redis.lrange(self._key, log_number_from, -1))
        return [json.loads(line) for line in lines]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            self._with_retries(_Append(self._redis, self._key, log))

    def _with_retries(self, command: Callable[[], T]) -> T:
        until_s = time.monotonic() + PATIENCE_S

        def wait(pause_s: float) -> bool:
            self._sleep(pause_s)
            return time.monotonic() > until_s

        def call() -> T:
            with broker_errors():
                return command()

        return Outage("trials of the search", wait).retry(call)


class _Append:
    """The append of one entry, which happens once even if it is called again after a lost reply."""

    def __init__(self, client: redis.Redis, key: str, log: dict[str, Any]) -> None:
        self._redis, self._key = client, key
        self._line = json.dumps(log | {"line": uuid.uuid4().hex})
        self._is_first = log["op_code"] == _CREATE_STUDY
        self._tried = False

    def __call__(self) -> None:
        if self._tried and self._is_stored():
            return
        self._tried = True
        push = self._redis.rpush if self._is_first else self._redis.rpushx
        if not push(self._key, self._line):
            raise StudyGone(self._key)
        self._redis.expire(self._key, SEARCH_TTL_S)

    def _is_stored(self) -> bool:
        recent: Any = self._redis.lrange(self._key, -_RECENT, -1)
        return self._line.encode() in recent
