"""`modelane up` in a process of its own, with the real programs."""

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
    """A running `modelane up`, whose output is heard line by line."""

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
        """The fields of the ready line."""
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


def test_up_is_ready_restarts_what_dies_refuses_a_second_one_and_ends_warmly(start, ports, tmp_path):
    # Given a stack of its own
    up = start(*ports)
    ready = up.ready()
    programs = descendants(up.process.pid)

    # Then it says where everything is, once
    assert ready == {
        "broker": f"redis://127.0.0.1:{ports[0].partition('=')[2]}/0",
        "flower": f"http://127.0.0.1:{ports[1].partition('=')[2]}",
        "store": str(tmp_path / "home" / "models"),
        "models": "",
    }
    with redis.Redis.from_url(ready["broker"]) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}

    # When the same is asked for again
    second = start(f"--redis-port={free_port()}", f"--flower-port={free_port()}")

    # Then it is refused in words
    assert second.end() == 1
    assert "`modelane up` is already running in" in second.heard.getvalue()

    # When Flower is killed
    flower = next(pid for pid, command in programs.items() if "flower" in command)
    os.kill(flower, signal.SIGKILL)

    # Then it is said, and Flower is started again
    up.heard.wait_for("flower was killed by SIGKILL; restarting it in 1 s")
    up.heard.wait_for("Visit me at", times=2, deadline_s=60)

    # When Ctrl-C is pressed
    up.process.send_signal(signal.SIGINT)

    # Then all end in good order, Redis last, and nothing is left
    assert up.end() == 0
    said = up.heard.getvalue()
    assert said.count("\nready ") == 1
    assert said.index("Warm shutdown") < said.index("bye bye")
    assert said.endswith("modelane | stopped\n")
    assert "killing" not in said
    for pid in programs:
        assert_gone(pid)


@pytest.mark.full
def test_a_second_signal_ends_everything_at_once(start, ports):
    up = start(*ports)
    up.ready()
    programs = descendants(up.process.pid)
    # Given a trainer that cannot end by itself
    trainer = next(pid for pid, command in programs.items() if "trainer@" in command)
    os.kill(trainer, signal.SIGSTOP)

    # When it is told to end, and told again
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
def test_a_broker_of_the_user_s_own_is_used_and_its_password_is_not_shown(start, ports):
    # Given a Redis that runs already and wants a password
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "secret")
        broker = f"redis://:secret@127.0.0.1:{server.port}/0"

        # When the stack is told of it
        up = start(*ports, MODELANE_BROKER_URL=broker)
        ready = up.ready()

        # Then no other one is started, and its password is not said
        assert ready["broker"] == f"redis://:***@127.0.0.1:{server.port}/0"
        assert "\nredis " not in up.heard.getvalue()
        assert "secret" not in up.heard.getvalue()
        up.process.send_signal(signal.SIGTERM)
        assert up.end() == 0


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_everything_ends_when_up_is_killed(start, ports):
    up = start(*ports)
    up.heard.wait_for("trainer  | ", deadline_s=120)
    programs = descendants(up.process.pid)

    up.process.kill()

    assert programs
    for pid in programs:
        assert_gone(pid)


@pytest.mark.parametrize("option", ["--redis-port", "--flower-port"])
def test_a_taken_port_is_said_before_anything_starts(start, ports, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        up = start(*ports, f"{option}={port}")

        assert up.end() == 1
        assert f"Error: port {port} for " in up.heard.getvalue()
        assert f"choose another port with {option}" in up.heard.getvalue()
        assert " | " not in up.heard.getvalue()


def test_a_broker_that_does_not_answer_is_said_before_anything_starts(start, ports):
    up = start(*ports, MODELANE_BROKER_URL=f"redis://:secret@127.0.0.1:{free_port()}/0")

    assert up.end() == 5  # try later
    assert "Error: Redis does not answer" in up.heard.getvalue()
    assert "secret" not in up.heard.getvalue()
    assert " | " not in up.heard.getvalue()
