"""`modelane demo --keep`: it runs until it is stopped, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from modelane.client import Client

pytestmark = pytest.mark.full


@pytest.mark.timeout(240)
def test_a_kept_demo_serves_until_it_is_stopped(tmp_path: Path):
    # Given a kept demo in a folder whose name has a space
    folder = tmp_path / "a folder"
    folder.mkdir()
    demo = subprocess.Popen(
        [sys.executable, "-m", "modelane", "demo", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )
    lines = []
    for line in demo.stdout:
        lines.append(line.rstrip())
        if line.startswith("ready "):
            break
    assert lines[-2].startswith("OK requests="), lines
    ready = dict(re.findall(r"(\w+)=(\S+)", lines[-1]))
    assert ready["models"] == "breast-cancer"

    # When a client uses it, and it is then stopped
    with Client(ready["broker"]) as client:
        assert client.predict("breast-cancer", [[0.5] * 30]).model == "breast-cancer"
    children = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(signal.SIGTERM)

    # Then it exits with status 0, and nothing is left
    assert demo.wait(60) == 0
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert list(folder.iterdir()) == []
