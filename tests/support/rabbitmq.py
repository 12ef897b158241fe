"""A RabbitMQ server for tests: Debian's package on free ports, with a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu import Connection
from kombu.exceptions import OperationalError

from modelane.local.ports import LOOPBACK, free_port
from support.processes import running
from support.waiting import DEADLINE_S, eventually

#: Not the script on PATH, which tries to switch to another user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def is_installed() -> bool:
    return SERVER.exists()


@contextmanager
def running_rabbitmq(folder: Path) -> Iterator[str]:
    """Run a server; yield its URL."""
    port, epmd_port = free_port(), free_port()
    plugins = folder / "plugins"
    plugins.write_text("[].")
    env = os.environ | {
        "HOME": str(folder),  # for Erlang's cookie
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": f"modelane-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_LOGS": "-",
    }
    log = folder / "rabbitmq.log"
    # Erlang would start its port mapper itself, and leave it running.
    with (
        running(["epmd", "-port", str(epmd_port)], folder / "epmd.log", env),
        running([SERVER], log, env) as server,
    ):
        url = f"amqp://guest:guest@{LOOPBACK}:{port}//"
        eventually(lambda: not server.runs or _answers(url), "RabbitMQ", 2 * DEADLINE_S)
        assert server.runs, server.said
        yield url


def _answers(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (OperationalError, OSError):
        return False
    return True
