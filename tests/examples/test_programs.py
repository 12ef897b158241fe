"""The example script and the example notebook."""

from __future__ import annotations

import ast
import asyncio
import csv
import inspect
import json
import subprocess
import sys

from examples.conftest import EXAMPLES


def test_the_script_prints_a_prediction_for_each_row(environment, churn, customers, tmp_path):
    table = tmp_path / "customers.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["visits", "age"], *customers[:, ::-1].tolist()])

    done = subprocess.run(
        [sys.executable, EXAMPLES / "script.py", "churn", table],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == churn.predict(customers).tolist()


def test_every_cell_of_the_notebook_runs(environment, capsys):
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}

    async def run() -> None:
        for cell in cells:
            code = compile(cell, "a cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if inspect.iscoroutine(waiting := eval(code, names)):
                await waiting

    asyncio.run(run())

    assert len(names["answers"]) == 100
    assert len(names["staying"]) == 20
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert "no column 'visits'" in printed[-1]
