"""A new user types what the tutorial says, from a data file to a retrained model in service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelane.local.ports import free_port
from support.pages import blocks, commands

PAGE = "docs/tutorial.md"
MODELANE = str(Path(sys.executable).with_name("modelane"))


@pytest.mark.full
@pytest.mark.timeout(600)
def test_every_step_of_the_tutorial_works_in_its_order(tmp_path):
    # Given a folder and free ports
    redis_port, flower_port = free_port(), free_port()
    env = os.environ | {"MODELANE_BROKER_URL": f"redis://127.0.0.1:{redis_port}/0"}
    files = {block.file: block for block in blocks(PAGE)}
    for name, block in files.items():
        (tmp_path / name).write_text(block.code)
    up, init, train, predict, retrain = commands(PAGE)[:5]
    assert up == "modelane up"
    own = {name: value for name, value in os.environ.items() if name != "MODELANE_BROKER_URL"}
    log = (tmp_path / "up.log").open("w")

    def run(*command: str, timeout_s: float = 300.0) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert done.returncode in (0, 3), done.stderr + done.stdout
        return done.stdout

    def until_it_says(pattern: str, deadline_s: float = 120.0) -> str:
        give_up_s = time.monotonic() + deadline_s
        while not (found := re.search(pattern, (tmp_path / "up.log").read_text(), re.MULTILINE)):
            assert running.poll() is None, (tmp_path / "up.log").read_text()
            assert time.monotonic() < give_up_s, (tmp_path / "up.log").read_text()
            time.sleep(0.1)
        return found.group(0)

    # When each command and program of the page runs
    running = subprocess.Popen(
        [MODELANE, "up", "--redis-port", str(redis_port), "--flower-port", str(flower_port)],
        cwd=tmp_path,
        env=own,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        assert until_it_says("^ready .*").endswith(" models=")
        run(sys.executable, "make_data.py")
        said = run(MODELANE, *init.split()[1:])
        assert "churn.py" in said
        recipe = tmp_path / "recipes" / "churn.py"
        shorter, n_found = re.subn(r"Budget\(.*\)", "Budget(trials=2)", recipe.read_text())
        assert n_found == 1
        recipe.write_text(shorter)
        assert "promoted" in run(MODELANE, *train.split()[1:])

        # Then the service answers, from Python and from a terminal, and a retraining ends with a verdict
        printed = run(sys.executable, "ask.py")
        assert re.match(r"\[\[0\.\d+ +0\.\d+\]", printed), printed
        assert re.search(r"[01]", run(MODELANE, "predict", "churn", predict.split(maxsplit=3)[3].strip("'")))
        assert "churn" in run(MODELANE, *retrain.split()[1:])
        (asked,) = (
            block.code for block in blocks("docs/how-to/retrain.md") if "client.retrain(" in block.code
        )
        assert re.search(r"^(True|False) ", run(sys.executable, "-c", asked), re.MULTILINE)
        assert len(run(MODELANE, "models", "churn").splitlines()) >= 3
    finally:
        running.terminate()
        assert running.wait(60) == 0
        log.close()
