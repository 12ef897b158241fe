"""Many threads, forks, and an idle client."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from client.lane import MODEL
from modelane import Client

ROWS = np.ones((2, 3))


def test_64_threads_share_a_client(client, worker):
    def submit(thread: int) -> list[float]:
        futures = [client.submit(MODEL, ROWS * (thread * 100 + n)) for n in range(50)]
        return [future.result(20).values[0] / 3 for future in futures]

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(submit, range(64)))

    assert answers == [[thread * 100 + n for n in range(50)] for thread in range(64)]
    assert len(client._session._pending) == 0


def test_a_client_starts_its_threads_once(client, worker):
    before = threading.active_count()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.predict(MODEL, ROWS), range(64)))

    assert threading.active_count() - before == 3  # outbox, replies, timeouts


def test_an_idle_client_uses_no_cpu(client, worker):
    before = set(threading.enumerate())
    client.predict(MODEL, ROWS)
    client.submit("another-model", ROWS)  # a pending request costs as little
    own = {thread.native_id for thread in set(threading.enumerate()) - before}
    time.sleep(0.2)

    def spent_s() -> float:
        times = psutil.Process().threads()
        return sum(each.user_time + each.system_time for each in times if each.id in own)

    before_s = spent_s()
    time.sleep(2)

    assert len(own) == 3
    assert spent_s() - before_s < 0.1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
class TestFork:
    def test_requests_of_the_parent_fail_in_the_child_and_continue_in_the_parent(self, client, lane):
        futures = [client.submit(MODEL, ROWS) for _ in range(10)]
        client.flush()

        def child() -> str:
            errors = {f"{type(future.exception(0)).__name__}: {future.exception(0)}" for future in futures}
            return " ".join(errors)

        assert forked(child) == "ClientClosed: sent before the fork: its answer goes to the parent process"
        lane.answer(lane.take(10))
        assert all(len(future.result(10)) == 2 for future in futures)

    def test_a_child_can_use_the_client(self, client, worker):
        client.predict(MODEL, ROWS)

        said = forked(lambda: str(client.predict(MODEL, ROWS * 2).values.tolist()))

        assert said == "[6.0, 6.0]"
        assert len(client.predict(MODEL, ROWS)) == 2

    def test_a_fork_while_locks_are_held_leaves_none_held_in_the_child(self, client, worker):
        future = client.submit("another-model", ROWS)
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with client._lock, future._condition:
                held.set()
                release.wait(20)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        try:
            said = forked(lambda: f"{type(future.exception(1)).__name__} {len(client.predict(MODEL, ROWS))}")
        finally:
            release.set()
            holder.join()

        assert said == "ClientClosed 2"

    def test_forks_during_traffic_all_get_answers(self, client, worker):
        ending = threading.Event()

        def traffic() -> None:
            while not ending.is_set():
                client.predict(MODEL, ROWS)

        threads = [threading.Thread(target=traffic) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            said = [forked(lambda: str(len(client.predict(MODEL, ROWS)))) for _ in range(10)]
        finally:
            ending.set()
            for thread in threads:
                thread.join(20)

        assert said == ["2"] * 10

    def test_a_closed_client_stays_closed_in_the_child(self, redis_url):
        client = Client(redis_url)
        client.close()

        assert forked(lambda: str(client.submit(MODEL, ROWS))).startswith("ClientClosed")


def test_a_program_that_does_not_close_its_client_ends(redis_url):
    code = f"from modelane import Client; Client({redis_url!r}).submit('m', [[1.0]])"

    ended = subprocess.run([sys.executable, "-c", code], timeout=30, capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, b"")


def forked(question: Callable[[], str], deadline_s: float = 20.0) -> str:
    """Return what a forked child returns, or its error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = question()
        except BaseException as exc:
            said = f"{type(exc).__name__}: {exc}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        teller = threading.Timer(deadline_s, lambda: os.kill(pid, 9))
        teller.start()
        said = pipe.read().decode()
        teller.cancel()
    os.waitpid(pid, 0)
    return said
