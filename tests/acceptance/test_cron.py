"""The crontab line of docs/how-to/retrain.md, run as cron runs it, ends in another answer."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.waiting import eventually
from support.workplace import MODEL

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "retrain.md"


def crontab_line() -> str:
    """Return the command behind the five fields of the line."""
    (line,) = re.findall(r"^0 3 \* \* \* +(\S.*)$", PAGE.read_text(), re.MULTILINE)
    return line


def run_as_cron(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Debian's cron: the shell, the home folder, and these five variables, nothing else."""
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
    """The same line with the program and the host of this test."""
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
def test_the_crontab_line_ends_in_another_answer_of_a_worker_that_never_restarted(workplace, rows, tmp_path):
    # Given a worker that answers, and a trainer
    worker = workplace.worker()
    trainer = workplace.trainer()
    client = workplace.client()
    before = client.predict(MODEL, rows[:50], method="predict_proba")

    # When cron runs the line
    done = run_as_cron(on_this_machine(crontab_line(), workplace.settings.broker_url), Path("/"))

    # Then cron has nothing to mail, and the answers are another version's
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    eventually(lambda: client.predict(MODEL, rows[:1]).version != before.version, "another version")
    after = client.predict(MODEL, rows[:50], method="predict_proba")
    assert after.version == workplace.store.champion(MODEL)
    assert workplace.store.aliases(MODEL).previous == before.version
    assert not np.array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.values, workplace.expected(after.version, rows[:50]))
    assert worker.said.count(" ready.") == 1
    assert (trainer.end(), worker.end()) == (0, 0)


def test_what_goes_wrong_is_printed_so_that_cron_mails_it(free_port, tmp_path):
    command = on_this_machine(crontab_line(), f"redis://127.0.0.1:{free_port}/0") + " --timeout 1"

    done = run_as_cron(command, tmp_path)

    assert done.returncode == 5
    assert "Redis does not answer" in done.stderr
