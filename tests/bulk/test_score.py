"""`modelane score` with a real Redis, a real worker and real files; also killed and resumed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import redis
from click.testing import CliRunner

from modelane.broker.served_models import served_model
from modelane.cli import main
from modelane.keys import predict_queue
from support.churn import MODEL, estimator, publish, rows_of, table
from support.waiting import eventually

#: A run that saves its rows often, so that a killed run has saved some.
SHORT_PARTS = (
    "from modelane.bulk import checkpoints; checkpoints.PART_S = 0.1; from modelane.cli import main; main()"
)


def score(*arguments: str):
    return CliRunner().invoke(main, ["score", MODEL, *arguments])


def begin(*arguments: str, code: str = SHORT_PARTS) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, "score", MODEL, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def parts_of(out: str) -> list[Path]:
    return sorted(Path(f"{out}.partial").glob("*.arrow"))


def test_a_parquet_file_gets_the_answers_of_the_model_in_process_and_keeps_its_id(desk):
    customers = table(10_000)
    pq.write_table(customers, "in.parquet")

    done = score("in.parquet", "out.parquet", "--keep", "customer")

    assert done.exit_code == 0, done.output
    assert "10,000 rows scored by churn" in done.output
    found = pq.read_table("out.parquet")
    assert found.column_names == ["customer", "prediction"]
    assert found["customer"].equals(customers["customer"])
    np.testing.assert_array_equal(found["prediction"].to_numpy(), estimator().predict(rows_of(customers)))
    assert sorted(path.name for path in desk.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("source", ["csv", "jsonl"])
def test_formats_can_be_mixed_and_columns_are_named_after_classes(desk, source, ending):
    customers = table(300)
    if source == "csv":
        pc.write_csv(customers, "in.csv")
    else:
        Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in customers.to_pylist()))

    done = score(f"in.{source}", f"out.{ending}", "--keep=customer", "--method=predict_proba", "--quiet")

    assert (done.exit_code, done.output) == (0, "")
    expected = estimator().predict_proba(rows_of(customers))
    for row, record in enumerate(read(f"out.{ending}")):
        assert record == {
            "customer": f"00{row}",
            "predict_proba_no": expected[row, 0],
            "predict_proba_yes": expected[row, 1],
        }


def read(path: str) -> list[dict[str, object]]:
    if path.endswith("jsonl"):
        return [json.loads(line) for line in Path(path).read_text().splitlines()]
    if path.endswith("csv"):
        as_text = pc.ConvertOptions(column_types={"customer": pa.string()})
        return pc.read_csv(path, convert_options=as_text).to_pylist()
    return pq.read_table(path).to_pylist()


def test_only_bad_rows_get_an_error_and_all_rows_keep_their_place(desk):
    lines = [f"{row},1,2,3" for row in range(500)]
    lines[7] = "7,1,2"  # too short
    lines[8] = "8,1,two,3"
    lines[9] = "9,,2,3"  # a missing value, which this model refuses
    lines[499] = "499,1,2,3,4"
    Path("in.csv").write_text("\n".join(["customer,age,visits,balance", *lines]) + "\n")

    done = score("in.csv", "out.jsonl", "--keep", "customer", "--on-error", "column", "--batch-rows", "64")

    assert done.exit_code == 0, done.output
    assert "4 of these rows could not be scored" in done.output
    records = read("out.jsonl")
    assert len(records) == 500
    errors = {row: record["error"] for row, record in enumerate(records) if record["error"]}
    assert errors == {
        7: "the row has 3 values, but the header has 4 columns",
        8: "column 'visits' takes numbers, but the value is a string that is not a number",
        9: "churn.predict failed: Input X contains NaN.",
        499: "the row has 5 values, but the header has 4 columns",
    }
    for row, record in enumerate(records):
        if row not in errors:
            assert (record["customer"], record["prediction"]) == (str(row), "yes")
    assert records[8] == {"customer": "8", "prediction": None, "error": errors[8]}


def test_the_first_row_that_cannot_be_scored_ends_a_run_by_default(desk):
    Path("in.csv").write_text("age,visits,balance\n1,2,3\n1,,3\n")

    stopped = score("in.csv", "out.csv")

    assert stopped.exit_code == 1
    assert "row 1 (counted from 0) cannot be scored: churn.predict failed: Input X" in stopped.output
    assert "--on-error column" in stopped.output
    assert [path.name for path in desk.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["in.csv", "out.csv", "--method", "explain"],
            4,
            "churn has no method 'explain': it answers predict, predict_proba",
        ),
        (
            ["in.csv", "out.csv", "--keep", "name"],
            4,
            "--keep 'name': in.csv has no such column; its columns are age, visits",
        ),
        (
            ["in.csv", "out.csv"],
            4,
            "in.csv has no column 'balance', which churn needs; its columns are age, visits",
        ),
        (
            ["full.csv", "out.csv", "--keep", "prediction"],
            4,
            "--keep 'prediction': the answers have a column",
        ),
        (["in.xlsx", "out.csv"], 1, "in.xlsx: unknown format; the name must end in .csv, .parquet"),
        (["in.csv", "out.txt"], 1, "out.txt: unknown format; the name must end in .csv"),
        (["absent.csv", "out.csv"], 1, "cannot read absent.csv: no such file"),
        (["in.csv", "in.csv"], 1, "the output in.csv is also the input: choose another output file"),
        (["in.csv", "absent/out.csv"], 1, "out.csv: No such file or directory"),
        (["empty.csv", "out.csv"], 1, "empty.csv is empty: expected a header line"),
        (["broken.parquet", "out.csv"], 1, "cannot read broken.parquet"),
    ],
)
def test_a_job_that_cannot_succeed_is_refused_and_leaves_no_files(desk, arguments, code, message):
    Path("in.csv").write_text("age,visits\n1,2\n")
    Path("full.csv").write_text("age,visits,balance,prediction\n1,2,3,4\n")
    Path("empty.csv").write_text("")
    Path("broken.parquet").write_text("PAR1")

    refused = score(*arguments)

    assert refused.exit_code == code, refused.output
    assert message in refused.output
    assert len(list(desk.iterdir())) == 4


def test_a_killed_run_resumes_and_its_output_is_complete(desk):
    # Given a long run that is killed after it has saved some parts
    customers = table(60_000)
    pq.write_table(customers, "in.parquet")
    arguments = ("in.parquet", "out.parquet", "--keep", "customer", "--batch-rows", "20", "--window", "2")
    first = begin(*arguments)
    eventually(lambda: len(parts_of("out.parquet")) >= 3 or first.poll() is not None, "some parts")
    first.kill()
    first.communicate()
    kept = parts_of("out.parquet")
    assert not Path("out.parquet").exists()
    assert kept, "the run ended before it was killed"

    # When the command is repeated with other options, it is refused
    for changed in (["--keep", "age"], ["--keep", "customer", "--method", "predict_proba"]):
        other = score("in.parquet", "out.parquet", *changed)
        assert other.exit_code == 1
        assert "holds the results of an unfinished run that differs from this one" in other.output
    # When the same command is repeated
    done = score("in.parquet", "out.parquet", "--keep", "customer")

    # Then saved rows are not scored again, and the output is complete
    assert done.exit_code == 0, done.output
    n_before = sum(int(path.stem.split("-")[1]) for path in kept)
    assert f"{n_before:,} of these rows were scored by an earlier run" in done.output
    found = pq.read_table("out.parquet")
    assert found["customer"].equals(customers["customer"])
    np.testing.assert_array_equal(found["prediction"].to_numpy(), estimator().predict(rows_of(customers)))
    assert not Path("out.parquet.partial").exists()


def test_a_run_that_was_killed_before_its_first_part_does_not_block_another_run(desk):
    # Given a run that is killed before its first part
    pq.write_table(table(60_000), "in.parquet")
    first = begin(
        "in.parquet", "out.csv", "--batch-rows", "20", "--window", "2", code=SHORT_PARTS.replace("0.1", "60")
    )
    folder = Path("out.csv.partial")
    eventually(lambda: (folder / "part").exists() or first.poll() is not None, "an unfinished part")
    first.kill()
    first.communicate()
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(left) == {"lock", "manifest.json", "part"}

    # When a job is refused, the folder stays as it is
    refused = score("in.parquet", "out.csv", "--method", "explain")
    assert refused.exit_code == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left

    # When another job is valid, it replaces the folder
    pq.write_table(table(100), "in.parquet")
    done = score("in.parquet", "out.csv", "--method", "predict_proba")
    assert done.exit_code == 0, done.output
    assert len(pc.read_csv("out.csv")) == 100
    assert not folder.exists()


def test_ctrl_c_saves_every_answer_and_says_how_to_resume(desk):
    pc.write_csv(table(40_000), "in.csv")
    arguments = ("in.csv", "out.csv", "--batch-rows", "20", "--window", "2")
    run = begin(*arguments)
    eventually(lambda: parts_of("out.csv") or run.poll() is not None, "a part")

    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)

    assert run.returncode == 130, said
    assert "rows are scored and saved: run the same command again to resume" in said
    assert "Traceback" not in said, said
    assert score("in.csv", "out.csv").exit_code == 0
    assert len(read("out.csv")) == 40_000


@pytest.mark.full
def test_two_runs_cannot_write_the_same_output(desk):
    pq.write_table(table(20_000), "in.parquet")
    first = begin("in.parquet", "out.parquet", "--batch-rows", "20", "--window", "2")
    eventually(lambda: parts_of("out.parquet") or first.poll() is not None, "a part")

    second = score("in.parquet", "out.parquet")

    assert second.exit_code == 1
    assert "another `modelane score` is writing" in second.output
    _, said = first.communicate(timeout=120)
    assert first.returncode == 0, said
    assert len(pq.read_table("out.parquet")) == 20_000


def test_a_run_does_not_resume_after_its_input_has_changed(desk):
    pq.write_table(table(40_000), "in.parquet")
    run = begin("in.parquet", "out.parquet", "--batch-rows", "20", "--window", "2")
    eventually(lambda: parts_of("out.parquet") or run.poll() is not None, "a part")
    run.kill()
    run.communicate()
    changed = table(1000, seed=2)
    pq.write_table(changed, "in.parquet")

    refused = score("in.parquet", "out.parquet")
    again = score("in.parquet", "out.parquet", "--restart")

    assert refused.exit_code == 1
    assert "the input has changed since" in refused.output
    assert again.exit_code == 0, again.output
    found = pq.read_table("out.parquet")["prediction"].to_numpy()
    np.testing.assert_array_equal(found, estimator().predict(rows_of(changed)))


def test_the_same_command_twice_in_a_row_replaces_the_output(desk):
    pq.write_table(table(100), "in.parquet")
    assert score("in.parquet", "out.parquet").exit_code == 0
    before = Path("out.parquet").read_bytes()

    again = score("in.parquet", "out.parquet")

    assert again.exit_code == 0, again.output
    assert "earlier run" not in again.output
    assert Path("out.parquet").read_bytes() == before


def test_a_full_disk_is_reported_and_scored_rows_are_kept(desk):
    # Given a file size limit that the output exceeds and no part does
    customers = table(12_000)
    pq.write_table(customers, "in.parquet")
    limited = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (400_000, r.RLIM_INFINITY)); {SHORT_PARTS}"
    arguments = ("in.parquet", "out.jsonl", "--keep", "customer", "--batch-rows", "50", "--window", "2")

    run = begin(*arguments, code=limited)
    _, said = run.communicate(timeout=120)

    assert run.returncode == 1, said
    assert "out.jsonl: File too large" in said
    assert "12,000 rows are scored and saved: run the same command again to resume" in said
    assert "Traceback" not in said, said
    assert not Path("out.jsonl").exists()
    done = score("in.parquet", "out.jsonl", "--keep", "customer")
    assert done.exit_code == 0, done.output
    assert [record["customer"] for record in read("out.jsonl")] == customers["customer"].to_pylist()


def test_results_do_not_stay_in_redis(desk, served):
    pq.write_table(table(5000), "in.parquet")
    with redis.Redis.from_url(served.broker_url) as server:
        before = set(server.scan_iter("celery-task-meta-*"))

        assert score("in.parquet", "out.parquet", "--batch-rows", "50").exit_code == 0

        assert set(server.scan_iter("celery-task-meta-*")) <= before


def test_a_run_waits_for_redis_until_its_timeout(desk, monkeypatch, free_port):
    pq.write_table(table(10), "in.parquet")
    monkeypatch.setenv("MODELANE_BROKER_URL", f"redis://127.0.0.1:{free_port}/0")

    gave_up = score("in.parquet", "out.parquet", "--timeout", "1")

    assert gave_up.exit_code == 5
    assert "waiting up to 1 s: Redis does not answer" in gave_up.output
    assert "Error: Redis does not answer" in gave_up.output


def test_a_run_waits_for_a_worker_until_its_timeout(desk, shared_stack):
    # Given a worker that has closed the lane
    pq.write_table(table(10), "in.parquet")
    with shared_stack.held(shared_stack.serving, predict_queue(MODEL)):
        gave_up = score("in.parquet", "out.parquet", "--timeout", "1")

    assert gave_up.exit_code == 6
    assert "check that a worker serves this model" in gave_up.output
    assert not Path("out.parquet.partial").exists()


@pytest.mark.full
def test_a_promotion_during_a_run_does_not_mix_versions(desk, served):
    # Given a run in progress
    customers = table(40_000)
    pq.write_table(customers, "in.parquet")
    with redis.Redis.from_url(served.broker_url) as server:
        old = served_model(server, "", MODEL).version
        run = begin("in.parquet", "out.parquet", "--batch-rows", "20", "--window", "2")
        eventually(lambda: parts_of("out.parquet") or run.poll() is not None, "a part")

        # When another version is promoted
        new = publish(served, seed=7)
        try:
            eventually(lambda: served_model(server, "", MODEL).version == new, "the new version")
            said, errors = run.communicate(timeout=120)
        finally:
            publish(served)  # for the other tests
            eventually(
                lambda: served_model(server, "", MODEL).version not in (old, new), "the model as before"
            )

    # Then the old version scores all rows of the run
    assert run.returncode == 0, errors
    assert f"scored by churn {old}" in said
    found = pq.read_table("out.parquet")["prediction"].to_numpy()
    np.testing.assert_array_equal(found, estimator().predict(rows_of(customers)))
    assert (found != estimator(7).predict(rows_of(customers))).any()
