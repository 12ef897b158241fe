"""The complete stack on one machine, as ``modelane up`` and ``modelane demo`` run it.

The start takes a lock on the data folder, starts Redis, then the worker, the trainer, beat and Flower. The
stop goes the other way: Redis ends last, because the other programs settle their last answers on it. This
module knows the worker and the trainer only by the commands that run them.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import msgspec

from modelane import app
from modelane.broker.connection import broker_errors, connect
from modelane.errors import StackError
from modelane.local import redis_program
from modelane.local.health import flower_sees, redis_answers, workers_answer
from modelane.local.log_output import Output
from modelane.local.logged_process import quoted, wait_until
from modelane.local.ports import LOOPBACK, require_free
from modelane.local.ready_line import ready_line
from modelane.local.supervisor import Child, Program, Supervisor
from modelane.settings import Settings

#: Seconds until every program must answer. On a busy laptop, the first import of scikit-learn takes most of
#: them.
READY_DEADLINE_S = 120.0

#: Seconds that a program may take to finish its current work when the stack stops.
STOP_DEADLINE_S = 20.0

#: A program that exits this often before the stack is ready is not restarted again.
MAX_EXITS = 3

_POLL_S = 0.1


class LocalStack:
    """Redis, a worker, a trainer, beat and Flower, as a context manager.

    Args:
        settings: for all programs.
        redis_port: port of the stack's own Redis; None: use the Redis of ``settings.broker_url`` instead.
        flower_port: port of Flower.
        output: receives the log lines of all programs.

    Attributes:
        settings: the settings that the programs run with.
    """

    def __init__(
        self, settings: Settings, *, redis_port: int | None, flower_port: int, output: Output
    ) -> None:
        if redis_port is not None:
            url = redis_program.local_url(redis_port)
            settings = msgspec.structs.replace(settings, broker_url=url)
        self.settings = settings
        self._redis_port = redis_port
        self._flower_port = flower_port
        self._output = output
        self._supervisor = Supervisor(output)
        self._children: list[Child] = []
        self._cleanup = ExitStack()
        host = socket.gethostname()
        self._nodes = {"worker": f"worker@{host}", "trainer": f"trainer@{host}"}

    @property
    def broker_url(self) -> str:
        return self.settings.broker_url

    @property
    def flower_url(self) -> str:
        return f"http://{LOOPBACK}:{self._flower_port}"

    def start(self) -> None:
        """Start all programs, without waiting until they answer. If this fails, nothing keeps running.

        Raises:
            StackError: the stack is already running, a port is in use, or a program is not installed.
            BrokerUnavailable: the Redis of the settings does not answer.
        """
        if find_spec("flower") is None:  # installed with the worker
            raise StackError(
                'the worker and Flower are not installed: install them with pip install "modelane[all]"'
            )
        with ExitStack() as cleanup:
            cleanup.enter_context(_lock(self.settings.home_path))
            self._require_ports()
            cleanup.callback(self._stop_programs)
            if self._redis_port is None:
                with broker_errors(), connect(self.settings) as client:
                    client.ping()
            else:
                self._start(self._redis(self._redis_port))
                self._wait_for("Redis", lambda: redis_answers(self.broker_url), READY_DEADLINE_S)
            for program in self._celery_programs():
                self._start(program)
            self._cleanup = cleanup.pop_all()

    def wait_until_ready(self, deadline_s: float = READY_DEADLINE_S) -> None:
        """Return when the worker, the trainer and Flower answer.

        Raises:
            StackError: a program does not answer in time, or keeps exiting.
        """
        nodes = self._nodes.values()
        with app.build(self.settings) as celery:
            self._wait_for("the worker and the trainer", lambda: workers_answer(celery, nodes), deadline_s)
        self._wait_for("Flower", lambda: flower_sees(self._flower_port, nodes), deadline_s)

    def ready_line(self) -> str:
        """Return the line that says where everything is; see :func:`modelane.local.ready_line.ready_line`."""
        return ready_line(self.settings, self.flower_url)

    def stop(self) -> None:
        """Stop all programs after they have finished their current work.

        A ``KeyboardInterrupt`` during this call kills them immediately.
        """
        self._cleanup.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _stop_programs(self) -> None:
        try:
            self._supervisor.stop("flower", "beat", "trainer", "worker", deadline_s=STOP_DEADLINE_S)
            self._supervisor.stop("redis", deadline_s=STOP_DEADLINE_S)
        except KeyboardInterrupt:
            self._output.line("modelane", "interrupted again: killing all programs")
            self._supervisor.kill()

    def _require_ports(self) -> None:
        if self._redis_port is not None:
            require_free(
                self._redis_port,
                program="Redis",
                remedy="choose another port with --redis-port, or set MODELANE_BROKER_URL "
                "to use a Redis that is already running",
            )
        require_free(self._flower_port, program="Flower", remedy="choose another port with --flower-port")

    def _redis(self, port: int) -> Program:
        folder = self.settings.home_path / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = redis_program.server_command(port, persistent=True)
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
        # Flower's API may go without a password, because only this machine can reach it.
        env = {**env, "FLOWER_UNAUTHENTICATED_API": "true"}
        yield Program(name="flower", command=[*celery, "modelane_worker", "flower", *listen], env=env)

    def _start(self, program: Program) -> None:
        self._children.append(self._supervisor.start(program))

    def _wait_for(self, who: str, answers: Callable[[], bool], deadline_s: float) -> None:
        if not wait_until(answers, deadline_s=deadline_s, check=self._check_running, poll_s=_POLL_S):
            raise StackError(f"{who} did not answer within {deadline_s:g} s: see the log lines above")

    def _check_running(self) -> None:
        for child in self._children:
            if child.n_exits >= MAX_EXITS:
                last_lines = quoted(list(child.last_lines))
                raise StackError(f"{child.name} exited {child.n_exits} times during the start{last_lines}")


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    """Hold a lock on the data folder. The operating system releases it however this process ends."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / "up.lock").open("a")
    except OSError as exc:
        raise StackError(
            f"cannot write to the data folder {home.absolute()} (MODELANE_HOME): {exc.strerror}"
        ) from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StackError(
                f"`modelane up` is already running in {home.absolute()}: "
                "stop it first, or set MODELANE_HOME to another folder"
            ) from exc
        yield
