"""A client in its own process: it submits requests, prints their ids, and waits for the answers."""

from __future__ import annotations

import os
import subprocess
import sys

from faults import frail
from modelane.client import Client
from modelane.local.die_with_parent import die_with_parent
from modelane.settings import Settings

N_REQUESTS = 50


def start_caller(settings: Settings) -> tuple[subprocess.Popen[str], list[str]]:
    """Start the client; return its process and the ids of its requests, once all are submitted."""
    env = {**os.environ, **settings.to_env(), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = die_with_parent([sys.executable, "-m", "faults.caller"])
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, [process.stdout.readline().strip() for _ in range(N_REQUESTS)]


def main() -> None:
    client, rows = Client(), frail.rows()
    waiting = [client.submit(frail.MODEL, rows[n : n + 1]) for n in range(N_REQUESTS)]
    print(*(prediction.id for prediction in waiting), sep="\n", flush=True)
    for prediction in waiting:
        prediction.result()


if __name__ == "__main__":
    main()
