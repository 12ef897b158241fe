"""The crontab line of docs/how-to/retrain.md, run as cron runs it, puts another version into service."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from support.workplace import MODEL, SharedStack

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "retrain.md"


def crontab_line() -> str:
    """Return the command after the five time fields of the line."""
    (line,) = re.findall(r"^0 3 \* \* \* +(\S.*)$", PAGE.read_text(), re.MULTILINE)
    return line


def run_as_cron(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as Debian's cron does: with its shell, the home folder, and only these five variables."""
    me = pwd.getpwuid(os.getuid()).pw_name
    environ = {"HOME": str(home), "LOGNAME": me, "USER": me, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    assert "%" not in command, "cron takes it for the end of the command"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env=environ,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def on_this_machine(command: str, broker_url: str) -> str:
    """Return the line with the program and the host of this test."""
    installed = Path(sys.executable).with_name("modelane")
    assert installed.exists()
    for theirs, ours in (
        ("/srv/shop/.venv/bin/modelane", str(installed)),
        ("redis://queue:6379/0", broker_url),
    ):
        assert theirs in command
        command = command.replace(theirs, ours)
    return command


@pytest.mark.timeout(300)
def test_the_crontab_line_replaces_the_version_of_a_running_worker_without_failed_or_mixed_answers(
    shared: SharedStack, rows
):
    # Given a running worker and a trainer
    worker, trainer = shared.serving, shared.training
    client = shared.client()
    old = client.predict(MODEL, rows[:1]).version

    # When cron runs the line while requests are sent
    command = on_this_machine(crontab_line(), shared.settings.broker_url)
    with ThreadPoolExecutor(1) as pool:
        cron = pool.submit(run_as_cron, command, Path("/"))
        answers = []
        while not (cron.done() and answers and answers[-1][1].version != old):
            sent = [(n, client.submit(MODEL, rows[n : n + 2], method="predict_proba")) for n in range(50)]
            answers += [(n, prediction.result()) for n, prediction in sent]
            time.sleep(0.02)  # leave CPU time to the trainer
        done = cron.result()

    # Then cron has no output to mail, and the same worker process answers with another version
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    new = shared.store.champion(MODEL)
    assert answers[-1][1].version == new
    assert shared.store.aliases(MODEL).previous == old
    assert worker.said.count(" ready.") == trainer.said.count(" ready.") == 1
    # And each request was answered by exactly one version
    assert {answer.version for _, answer in answers} == {old, new}
    expected = {version: shared.expected(version, rows) for version in (old, new)}
    assert not np.array_equal(expected[old], expected[new])
    for n, answer in answers:
        np.testing.assert_array_equal(answer.values, expected[answer.version][n : n + 2])
    assert trainer.end() == 0, trainer.said  # it would also take ordinary tasks of other tests


def test_an_error_is_printed_so_that_cron_mails_it(free_port, tmp_path):
    command = on_this_machine(crontab_line(), f"redis://127.0.0.1:{free_port}/0") + " --timeout 1"

    done = run_as_cron(command, tmp_path)

    assert done.returncode == 5
    assert "Redis does not answer" in done.stderr
