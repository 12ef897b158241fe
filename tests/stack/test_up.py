"""`modelane up` in its own process, with the real programs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from modelane.local import signals
from modelane.local.ports import free_port
from modelane.local.redis_server import RedisServer
from support.processes import assert_gone, descendants
from support.programs import Heard


class Up:
    """A running `modelane up`, whose output is read line by line."""

    def __init__(self, home: Path, *options: str, **environ: str) -> None:
        self.heard = Heard()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelane", "up", *options],
            env={**os.environ, "MODELANE_HOME": str(home), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.heard.write(line)
        self.heard.finish()

    def ready(self) -> dict[str, str]:
        """Wait for the ready line; return its fields."""
        self.heard.wait_for("\nready ", deadline_s=120)
        self.heard.wait_for(" models=")
        line = re.search(r"^ready (.*)$", self.heard.getvalue(), re.MULTILINE)
        assert line
        return dict(field.split("=", 1) for field in line[1].split(" "))

    def end(self, deadline_s: float = 60) -> int:
        code = self.process.wait(deadline_s)
        self._reader.join(10)
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    started = []

    def start(*options: str, **environ: str) -> Up:
        started.append(Up(tmp_path / "home", *options, **environ))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait()


@pytest.fixture
def ports() -> list[str]:
    return [f"--redis-port={free_port()}", f"--flower-port={free_port()}"]


def test_up_prints_a_ready_line_restarts_programs_and_stops_in_order(start, ports, tmp_path):
    # Given a stack with its own Redis
    up = start(*ports)
    ready = up.ready()
    programs = descendants(up.process.pid)

    # Then the ready line says where everything is
    assert ready == {
        "broker": f"redis://127.0.0.1:{ports[0].partition('=')[2]}/0",
        "flower": f"http://127.0.0.1:{ports[1].partition('=')[2]}",
        "store": str(tmp_path / "home" / "models"),
        "models": "",
    }
    with redis.Redis.from_url(ready["broker"]) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}

    # When a second stack is started in the same folder
    second = start(f"--redis-port={free_port()}", f"--flower-port={free_port()}")

    # Then it is refused
    assert second.end() == 1
    assert "`modelane up` is already running in" in second.heard.getvalue()

    # When Flower is killed
    flower = next(pid for pid, command in programs.items() if "flower" in command)
    os.kill(flower, signal.SIGKILL)

    # Then this is reported, and Flower is restarted
    up.heard.wait_for("flower was killed by SIGKILL; restarting it in 1 s")
    up.heard.wait_for("Visit me at", times=2, deadline_s=60)

    # When Ctrl-C is pressed
    up.process.send_signal(signal.SIGINT)

    # Then all programs stop in order, Redis last, and no process is left
    assert up.end() == 0
    said = up.heard.getvalue()
    assert said.count("\nready ") == 1
    assert said.index("Warm shutdown") < said.index("bye bye")
    assert said.endswith("modelane | stopped\n")
    assert "killing" not in said
    for pid in programs:
        assert_gone(pid)


@pytest.mark.full
def test_a_second_signal_kills_all_programs(start, ports):
    up = start(*ports)
    up.ready()
    programs = descendants(up.process.pid)
    # Given a trainer that does not react to SIGTERM
    trainer = next(pid for pid, command in programs.items() if "trainer@" in command)
    os.kill(trainer, signal.SIGSTOP)

    # When the stack receives two signals
    up.process.send_signal(signal.SIGTERM)
    up.heard.wait_for("worker: Warm shutdown")
    time.sleep(signals.DEBOUNCE_S)
    up.process.send_signal(signal.SIGTERM)

    # Then it does not wait for the trainer
    assert up.end(10) == 0
    assert "interrupted again: killing all programs" in up.heard.getvalue()
    for pid in programs:
        assert_gone(pid)


@pytest.mark.full
def test_up_can_use_another_redis_and_hides_its_password(start, ports):
    # Given a running Redis with a password
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret")
        broker = f"redis://:secret@127.0.0.1:{server.port}/0"

        # When the stack uses it
        up = start(*ports, MODELANE_BROKER_URL=broker)
        ready = up.ready()

        # Then no other Redis is started, and the password is not printed
        assert ready["broker"] == f"redis://:***@127.0.0.1:{server.port}/0"
        assert "\nredis " not in up.heard.getvalue()
        assert "secret" not in up.heard.getvalue()
        up.process.send_signal(signal.SIGTERM)
        assert up.end() == 0


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_all_programs_end_when_up_is_killed(start, ports):
    up = start(*ports)
    up.heard.wait_for("trainer  | ", deadline_s=120)
    programs = descendants(up.process.pid)

    up.process.kill()

    assert programs
    for pid in programs:
        assert_gone(pid)


@pytest.mark.parametrize("option", ["--redis-port", "--flower-port"])
def test_a_port_in_use_is_reported_before_a_program_starts(start, ports, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        up = start(*ports, f"{option}={port}")

        assert up.end() == 1
        assert f"Error: port {port} for " in up.heard.getvalue()
        assert f"choose another port with {option}" in up.heard.getvalue()
        assert " | " not in up.heard.getvalue()


def test_a_redis_that_does_not_answer_is_reported_before_a_program_starts(start, ports):
    up = start(*ports, MODELANE_BROKER_URL=f"redis://:secret@127.0.0.1:{free_port()}/0")

    assert up.end() == 5  # try later
    assert "Error: Redis does not answer" in up.heard.getvalue()
    assert "secret" not in up.heard.getvalue()
    assert " | " not in up.heard.getvalue()
