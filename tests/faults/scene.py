"""A Redis that records every write, workers that can be killed, and a load that must not be affected."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from faults import frail
from faults.load import Ledger, Load, Toll, stored_in
from modelane.client import Client
from modelane.keys import QueueKeys, predict_queue
from modelane.local.redis_server import RedisServer
from support.waiting import DEADLINE_S, eventually
from support.workplace import Process, Workplace

TESTS = Path(__file__).parents[1]
LANE = predict_queue(frail.MODEL)
KEYS = QueueKeys(LANE)

#: Requests that a load keeps in flight, and requests per batch: several batches are always waiting.
IN_FLIGHT, BATCH = 32, 8

_FENCED = re.compile(r"(\d+) results are dropped: their leases expired")


class Scene(Workplace):
    """A workplace with the model of :mod:`faults.frail`; it checks and reports the outcome of a load."""

    def __init__(
        self, home: Path, server: RedisServer, ends: ExitStack, report: Callable[[Toll], None]
    ) -> None:
        super().__init__(home, server, ends, max_batch_requests=BATCH)
        self._report = report
        self._folder = home.parent / "redis"
        self._write_before_answering()

    def worker(  # type: ignore[override]
        self,
        *,
        broker_url: str = "",
        ready: bool = True,
        step: str = "",
        clock_s: float = 0,
        **settings: object,
    ) -> Process:
        """Start a worker; with ``step`` or ``clock_s``, one of :mod:`faults.mortal`."""
        self._number += 1
        name = f"w{self._number}@faults"
        settings |= {"broker_url": broker_url or self.settings.broker_url}
        env = msgspec.structs.replace(self.settings, **settings).to_env()
        env |= {
            "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
            "FAULT_STEP": step,
            "FAULT_CLOCK_S": str(clock_s),
        }
        app = "faults.mortal" if step or clock_s else "modelane_worker"
        process = Process(app, name, env, self.home / f"{name}.log", "--loglevel=INFO")
        self._ends.callback(process.kill)
        if ready:
            eventually(lambda: is_open(process), f"the lane of {name}")
        return process

    def workers(self, n: int) -> list[Process]:
        """Start ``n`` workers at the same time."""
        workers = [self.worker(ready=False) for _ in range(n)]
        for worker in workers:
            eventually(lambda worker=worker: is_open(worker), f"the lane of {worker.name}")
        return workers

    def client(self, *, broker_url: str = "", **options: object) -> Client:
        settings = msgspec.structs.replace(self.settings, broker_url=broker_url or self.settings.broker_url)
        return self._ends.enter_context(Client(settings=settings, **{"timeout_s": DEADLINE_S} | options))

    @contextmanager
    def under_load(self, fault: str, **client: str) -> Iterator[Load]:
        """Check that all requests during this block are answered correctly and stored exactly once."""
        with Load(self.client(**client), IN_FLIGHT) as load:
            eventually(lambda: load.answered_at_s, "the first answer")
            yield load
            eventually(load.is_answered_again, "an answer after the last fault")
        self.count(fault, load)

    def count(self, fault: str, ledger: Ledger) -> None:
        """Wait for all answers, add a row to the table, and check that no answer is lost or wrong."""
        ledger.wait()
        eventually(self.is_at_rest, "an empty lane")
        toll = ledger.toll(fault, self.stored(), self.fenced())
        self._report(toll)
        assert (toll.lost, toll.wrong, toll.not_once) == (0, 0, 0), self._words(ledger)
        assert toll.times > 0

    def stored(self) -> Counter[str]:
        """Return how often each answer was stored, by id."""
        return stored_in(self._folder)

    def fenced(self) -> int:
        """Return how many answers the workers report as dropped because their leases expired."""
        said = "".join(path.read_text() for path in self.home.glob("*.log"))
        return sum(map(int, _FENCED.findall(said)))

    def restart_redis(self) -> None:
        self.server.kill()
        self.start_redis()

    def start_redis(self) -> None:
        self.server.start()
        self._write_before_answering()

    def _write_before_answering(self) -> None:
        # With "everysec", a Redis with a slow disk replies before it writes; a kill then loses up to two
        # seconds of confirmed writes. These tests look for losses of Modelane, not of Redis.
        self.redis.config_set("appendfsync", "always")

    def append(self, commands: bytes) -> None:
        """Append commands to the file that the stopped server reads when it starts."""
        newest = max(self._folder.rglob("*.aof"), key=lambda path: path.stat().st_mtime)
        with newest.open("ab") as file:
            file.write(commands)

    def is_at_rest(self) -> bool:
        return not (
            self.redis.llen(KEYS.first) or self.redis.hlen(KEYS.leased) or self.redis.zcard(KEYS.leases)
        )

    def holds_a_batch(self) -> bool:
        return bool(self.redis.hlen(KEYS.leased))

    def holders(self) -> set[bytes]:
        """Return the processes that hold a batch now, by their names in the leases."""
        return {batch.split(b":")[1].split(b".")[0] for batch in self.redis.hkeys(KEYS.leased)}

    def stop_in_a_batch(self, worker: Process, others: set[bytes]) -> bytes:
        """Stop a worker while it holds a batch; return its name in the leases, which is not in ``others``."""
        found: set[bytes] = set()

        def is_stopped_in_one() -> bool:
            worker.send(signal.SIGSTOP)
            found.update(self.holders() - others)
            # Check twice: by then, Redis has processed all commands that the worker sent before it stopped.
            if found & self.holders():
                return True
            worker.send(signal.SIGCONT)
            return False

        eventually(is_stopped_in_one, f"a batch that {worker.name} holds")
        (process,) = found
        return process

    def in_turn(self, load: Load, times: int, strike: Callable[[], object]) -> None:
        """Inject a fault ``times`` times, each after an answer to the previous one."""
        for _ in range(times):
            strike()
            load.struck()
            eventually(load.is_answered_again, "an answer after a fault")

    def _words(self, ledger: Ledger) -> str:
        errors = {repr(sent.exception())[:300] for _, sent in ledger.sent if sent.exception()}
        return "\n".join([*errors, *(path.read_text()[-3000:] for path in self.home.glob("*.log"))])


def is_open(process: Process) -> bool:
    assert process.runs, process.said
    return f"lane {LANE} is open" in process.said
