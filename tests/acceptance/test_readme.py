"""The README's examples run as they stand, against a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
DEFAULT_URL = "redis://127.0.0.1:6379/0"


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_client_example_prints_an_answer(workplace, tmp_path):
    workplace.worker()
    version = workplace.store.champion("breast-cancer")
    examples = [
        block
        for block in BLOCKS
        if re.search(r"\bClient\(|Celery\(|modelane.app", block) and not block.startswith("# tests/")
    ]
    assert len(examples) == 4

    for number, block in enumerate(examples):
        script = tmp_path / f"example_{number}.py"
        script.write_text(block.replace(DEFAULT_URL, workplace.settings.broker_url))
        done = run(script, MODELANE_BROKER_URL=workplace.settings.broker_url)

        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(("[", "{'model'")), done.stdout
        if "answer.version" in block:
            assert version in done.stdout


def test_the_recipe_example_trains_and_is_promoted(tmp_path):
    (recipe,) = [block for block in BLOCKS if block.startswith("# recipes/churn.py")]
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "churn.py").write_text(recipe)
    rng = np.random.default_rng(0)
    age, visits = rng.normal(40, 10, 400), rng.poisson(3, 400)
    left = (visits + rng.normal(0, 1, 400) < 2.5).astype(int)
    lines = [f"{a:.1f},{v},{y}" for a, v, y in zip(age, visits, left, strict=True)]
    (folder / "churn.csv").write_text("\n".join(["age,visits,left", *lines]))

    done = run(
        *("-m", "modelane", "train", "churn"),
        MODELANE_HOME=str(tmp_path / "home"),
        MODELANE_RECIPES=str(folder),
        MODELANE_BROKER_URL="redis://127.0.0.1:1/0",
    )

    assert done.returncode == 0, done.stderr
    assert "promoted" in done.stdout


@pytest.mark.parametrize("folder", re.findall(r"^\| `([\w./-]+/)` \|", README.read_text(), re.MULTILINE))
def test_every_folder_of_the_map_exists(folder):
    assert (README.parent / folder).is_dir()
