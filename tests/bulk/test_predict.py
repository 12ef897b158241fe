"""`modelane predict`, answered by a real worker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from modelane.cli import main
from support.churn import COLUMNS, MODEL, estimator


def predict(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(main, ["predict", MODEL, *arguments], input=stdin)


def test_rows_from_the_command_line_are_answered_as_a_table(desk):
    done = predict("[1, 2, 3]", "[-1, -2, -3]")

    assert done.exit_code == 0, done.output
    assert done.stdout == "prediction\nyes\nno\n"
    assert done.stderr.startswith("churn 20")  # the version that answered


def test_records_are_answered_as_json_lines_with_the_names_of_the_classes(desk):
    done = predict("--method", "predict_proba", "--json", '{"visits": 2, "balance": 3, "age": 1}')

    expected = estimator().predict_proba([[1, 2, 3]])[0]
    found = json.loads(done.stdout)
    assert list(found) == ["predict_proba_no", "predict_proba_yes"]
    np.testing.assert_array_equal(list(found.values()), expected)
    assert done.stderr == ""


def test_json_lines_are_read_from_a_pipe(desk):
    lines = "".join(
        json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in [(1, 2, 3), (-1, -2, -3)]
    )

    assert predict(stdin=lines).stdout == "prediction\nyes\nno\n"


def test_a_csv_file_may_have_other_columns_too(desk):
    Path("in.csv").write_text("customer,balance,age,visits\n007,3,1,2\n008,-3,-1,-2\n")

    assert predict("--csv", "in.csv").stdout == "prediction\nyes\nno\n"
    assert predict("--csv", "-", stdin=Path("in.csv").read_text()).stdout == "prediction\nyes\nno\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["[1, 2, 3]", "--csv", "in.csv"], 2, "give either ROWS or --csv FILE, not both"),
        (["[1, 2"], 4, "not valid JSON: argument 1, line 1, column 6"),
        (["[1, 2]"], 4, "churn takes 3 features, these rows have 2"),
        (["[1, 2, 3]", "--method", "explain"], 4, "no method 'explain'"),
        (["[1, 2, 3]", "--version", "20200101T000000-00000000"], 4, "20200101T000000-00000000"),
        (["[1, 2, null]"], 7, "Input X contains NaN"),
        (["[1, 2, 3]", "--priority", "9", "--ttl", "0.000001"], 6, "expired"),
    ],
)
def test_each_kind_of_error_has_its_message_and_its_exit_code(desk, arguments, code, message):
    refused = predict(*arguments)

    assert refused.exit_code == code, refused.output
    assert message in refused.stderr
    assert refused.stdout == ""


def test_the_error_about_an_unknown_model_lists_the_models_in_service(desk):
    refused = CliRunner().invoke(main, ["predict", "chrun", "[1]"])

    assert refused.exit_code == 4
    assert refused.stderr.startswith("Error: no worker serves the model 'chrun'; models in service: ")
    assert refused.stderr.endswith("; did you mean 'churn'?\n")


def test_the_exit_code_says_to_try_later_if_redis_does_not_answer(desk, monkeypatch, free_port):
    monkeypatch.setenv("MODELANE_BROKER_URL", f"redis://127.0.0.1:{free_port}/0")

    assert predict("[1, 2, 3]").exit_code == 5


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_the_names_of_models_in_service(desk):
    program = desk / "modelane"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m modelane "$@"\n')
    program.chmod(0o755)
    asked = CliRunner().invoke(main, ["completion", "bash"]).output + (
        "COMP_WORDS=(modelane predict ch); COMP_CWORD=2\n"
        '_modelane_completion modelane ch predict; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    env = os.environ | {"PATH": f"{desk}:{os.environ['PATH']}"}

    done = subprocess.run(["bash", "-c", asked], env=env, capture_output=True, text=True, check=False)

    assert done.stdout.split() == [MODEL], done.stderr
