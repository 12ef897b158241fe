"""The whole of Modelane on one machine: what `modelane up` and `modelane demo` run.

    lock the data folder → Redis → worker, trainer, beat, Flower → everything answers → ready
    Flower, beat, trainer, worker end → Redis ends last, since they still settle on it

Knows the programs by their commands only: nothing of the worker or the trainer is imported.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

from modelane import app
from modelane.broker.connection import broker_errors, connect
from modelane.errors import StackError
from modelane.local import redis_server
from modelane.local.health import flower_sees, models_in_service, redis_answers, workers_answer
from modelane.local.log_output import Output
from modelane.local.ports import LOOPBACK, require_free
from modelane.local.supervisor import Child, Program, Supervisor
from modelane.settings import Settings

#: Seconds until everything has to answer.  Cold imports of scikit-learn on a busy laptop take most.
READY_DEADLINE_S = 120.0

#: Seconds that a program may take to finish what it has in hand.
STOP_DEADLINE_S = 20.0

#: A program that ends this often before everything is ready will not get better by itself.
HOPELESS_DEATHS = 3

_POLL_S = 0.1


class Stack:
    """Redis, a worker, a trainer, beat and Flower, as a context manager.

    Args:
        settings: for all programs.
        redis_port: where our own Redis listens; None: ``settings.broker_url`` is used instead.
        flower_port: where Flower listens.
        output: hears everything that the programs say.
    """

    def __init__(
        self, settings: Settings, *, redis_port: int | None, flower_port: int, output: Output
    ) -> None:
        if redis_port is not None:
            url = redis_server.local_url(redis_port)
            settings = msgspec.structs.replace(settings, broker_url=url)
        self.settings = settings  #: those that the programs run with
        self._redis_port = redis_port
        self._flower_port = flower_port
        self._output = output
        self._supervisor = Supervisor(output)
        self._children: list[Child] = []
        self._held = ExitStack()
        host = socket.gethostname()
        self._nodes = {"worker": f"worker@{host}", "trainer": f"trainer@{host}"}

    @property
    def broker_url(self) -> str:
        return self.settings.broker_url

    @property
    def flower_url(self) -> str:
        return f"http://{LOOPBACK}:{self._flower_port}"

    def start(self) -> None:
        """Start all programs; they do not answer yet.

        Raises:
            StackError: it runs already, a port is taken, or there is no Redis; nothing was started.
            BrokerUnavailable: the Redis of the settings does not answer; nothing was started.
        """
        if find_spec("flower") is None:  # it comes with the worker's extra
            raise StackError('the worker is not installed: pip install "modelane[all]"')
        with ExitStack() as held:
            held.enter_context(_only_one(self.settings.home_path))
            self._require_ports()
            held.callback(self._end)
            if self._redis_port is None:
                with broker_errors(), connect(self.settings) as client:
                    client.ping()
            else:
                self._start(self._redis(self._redis_port))
                self._until("Redis", lambda: redis_answers(self.broker_url), READY_DEADLINE_S)
            for program in self._celery_programs():
                self._start(program)
            self._held = held.pop_all()

    def ready(self, deadline_s: float = READY_DEADLINE_S) -> None:
        """Return when everything answers.

        Raises:
            StackError: something does not, or keeps ending; with the last lines that it said.
        """
        nodes = self._nodes.values()
        with app.build(self.settings) as celery:
            self._until("worker and trainer", lambda: workers_answer(celery, nodes), deadline_s)
        self._until("Flower", lambda: flower_sees(self._flower_port, nodes), deadline_s)

    def ready_line(self) -> str:
        """What `modelane up` prints when everything answers; passwords are masked."""
        store = self.settings.store_path.absolute()
        return (
            f"ready broker={masked(self.broker_url)} flower={self.flower_url} "
            f"store={store} models={','.join(models_in_service(store))}"
        )

    def stop(self) -> None:
        """End everything, warmly; a KeyboardInterrupt meanwhile ends it at once."""
        self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _end(self) -> None:
        try:
            self._supervisor.stop("flower", "beat", "trainer", "worker", deadline_s=STOP_DEADLINE_S)
            self._supervisor.stop("redis", deadline_s=STOP_DEADLINE_S)
        except KeyboardInterrupt:
            self._output.line("modelane", "interrupted again: killing everything")
            self._supervisor.kill()

    def _require_ports(self) -> None:
        if self._redis_port is not None:
            require_free(
                self._redis_port,
                program="Redis",
                remedy="choose another with --redis-port, or set MODELANE_BROKER_URL "
                "to use a Redis that runs already",
            )
        require_free(self._flower_port, program="Flower", remedy="choose another with --flower-port")

    def _redis(self, port: int) -> Program:
        folder = self.settings.home_path / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = redis_server.server_command(port, persistent=True)
        return Program(name="redis", command=command, cwd=folder)

    def _celery_programs(self) -> Iterator[Program]:
        env = {**os.environ, **self.settings.to_env(), "PYTHONUNBUFFERED": "1"}
        celery = [sys.executable, "-m", "celery", "-A"]
        for name, package in (("worker", "modelane_worker"), ("trainer", "modelane_training")):
            command = [*celery, package, "worker", "-n", self._nodes[name], "--loglevel=INFO"]
            yield Program(name=name, command=command, env=env)
        schedule = self.settings.home_path.absolute() / "beat" / "schedule"
        schedule.parent.mkdir(parents=True, exist_ok=True)
        command = [*celery, "modelane_training", "beat", f"--schedule={schedule}", "--loglevel=INFO"]
        yield Program(name="beat", command=command, env=env)
        listen = [f"--address={LOOPBACK}", f"--port={self._flower_port}"]
        # Its API needs no password for the one reason that only this machine can reach it.
        env = {**env, "FLOWER_UNAUTHENTICATED_API": "true"}
        yield Program(name="flower", command=[*celery, "modelane_worker", "flower", *listen], env=env)

    def _start(self, program: Program) -> None:
        self._children.append(self._supervisor.start(program))

    def _until(self, who: str, answers: Callable[[], bool], deadline_s: float) -> None:
        give_up_at = time.monotonic() + deadline_s
        pause = threading.Event()
        while not answers():
            for child in self._children:
                if child.deaths >= HOPELESS_DEATHS:
                    raise StackError(f"{child.name} cannot run; it said:{_quoted(child)}")
            if time.monotonic() > give_up_at:
                raise StackError(f"{who} did not answer within {deadline_s:g} s")
            pause.wait(_POLL_S)


def masked(url: str) -> str:
    """``url`` without its passwords: redis-py takes one before the host, and one as a parameter."""
    parts = urlsplit(url)
    query = re.sub(r"(^|&)(password=)[^&]*", r"\1\2***", parts.query)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}:***@{host}" if colon else user + at + host
    return parts._replace(netloc=netloc, query=query).geturl()


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the data folder; a lock that ends with the process, however it ends."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / "up.lock").open("a")
    except OSError as exc:
        raise StackError(f"the data folder (MODELANE_HOME) cannot be written: {exc}") from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StackError(
                f"`modelane up` runs already in {home.absolute()}; "
                "stop it first, or set MODELANE_HOME to another folder"
            ) from exc
        yield


def _quoted(child: Child) -> str:
    return "".join(f"\n  {line}" for line in child.last_lines)
