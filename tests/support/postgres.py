"""A PostgreSQL server for tests: Debian's package on a free port, with a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelane.local.ports import LOOPBACK, free_port
from support.processes import running
from support.waiting import eventually

PASSWORD = "s3cret/word"


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, which Debian keeps off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server; yield its URL for SQLAlchemy, with the password."""
    bin_ = programs()
    assert bin_ is not None
    port = free_port()
    folder = Path(
        tempfile.mkdtemp(prefix="modelane-postgres-")
    )  # only this user can read pytest's own folders
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "nobody", "nogroup")
        data = folder / "data"
        init = ["-D", data, "-U", "modelane", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-N"]
        subprocess.run(_as_nobody([bin_ / "initdb", *init]), cwd=folder, capture_output=True, check=True)
        options = ["-D", data, "-k", folder, "-p", str(port), "-c", f"listen_addresses={LOOPBACK}"]
        command = _as_nobody([bin_ / "postgres", *options, "-c", "fsync=off"])
        with running(command, folder / "log", cwd=folder) as server:
            ready = [bin_ / "pg_isready", "-q", "-h", LOOPBACK, "-p", str(port)]
            eventually(lambda: not server.runs or subprocess.call(ready) == 0, "PostgreSQL")
            assert server.runs, server.said
            yield f"postgresql+psycopg://modelane:{PASSWORD.replace('/', '%2F')}@{LOOPBACK}:{port}/postgres"
    finally:
        shutil.rmtree(folder)


def _as_nobody(command: list[object]) -> list[str]:
    """Return the command as an unprivileged user, because PostgreSQL refuses to run as root."""
    words = list(map(str, command))
    if os.geteuid() != 0:
        return words
    user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    return ["setpriv", *user, "--pdeathsig=KILL", *words]
