"""`modelane score` as its users have it: real Redis, real worker, real files; it is killed, and goes on."""

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

#: A run whose parts are short, so that a kill finds some.
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


def test_a_parquet_file_is_scored_with_its_id_and_gets_what_the_model_says_in_process(desk):
    customers = table(10_000)
    pq.write_table(customers, "in.parquet")

    done = score("in.parquet", "out.parquet", "--keep", "customer")

    assert done.exit_code == 0, done.output
    assert "10,000 rows by churn" in done.output
    found = pq.read_table("out.parquet")
    assert found.column_names == ["customer", "prediction"]
    assert found["customer"].equals(customers["customer"])
    np.testing.assert_array_equal(found["prediction"].to_numpy(), estimator().predict(rows_of(customers)))
    assert sorted(path.name for path in desk.iterdir()) == ["in.parquet", "out.parquet"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("source", ["csv", "jsonl"])
def test_formats_may_be_mixed_and_classes_name_the_columns(desk, source, ending):
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
    lines[9] = "9,,2,3"  # a missing value, which this model does not take
    lines[499] = "499,1,2,3,4"
    Path("in.csv").write_text("\n".join(["customer,age,visits,balance", *lines]) + "\n")

    done = score("in.csv", "out.jsonl", "--keep", "customer", "--on-error", "column", "--batch-rows", "64")

    assert done.exit_code == 0, done.output
    assert "4 of them without an answer" in done.output
    records = read("out.jsonl")
    assert len(records) == 500
    errors = {row: record["error"] for row, record in enumerate(records) if record["error"]}
    assert errors == {
        7: "the row has 3 values, the header 4",
        8: "column 'visits' takes numbers, this is another text",
        9: "churn.predict failed: Input X contains NaN.",
        499: "the row has 5 values, the header 4",
    }
    for row, record in enumerate(records):
        if row not in errors:
            assert (record["customer"], record["prediction"]) == (str(row), "yes")
    assert records[8] == {"customer": "8", "prediction": None, "error": errors[8]}


def test_the_first_row_without_an_answer_ends_a_run_unless_it_is_told_otherwise(desk):
    Path("in.csv").write_text("age,visits,balance\n1,2,3\n1,,3\n")

    stopped = score("in.csv", "out.csv")

    assert stopped.exit_code == 1
    assert "row 1 (from 0): churn.predict failed: Input X contains NaN." in stopped.output
    assert "--on-error column" in stopped.output
    assert [path.name for path in desk.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["in.csv", "out.csv", "--method", "explain"],
            4,
            "churn answers predict, predict_proba; not 'explain'",
        ),
        (["in.csv", "out.csv", "--keep", "name"], 4, "--keep 'name': in.csv has age, visits"),
        (["in.csv", "out.csv"], 4, "churn takes a column 'balance', and in.csv has age, visits"),
        (["full.csv", "out.csv", "--keep", "prediction"], 4, "--keep 'prediction': the output has a column"),
        (["in.xlsx", "out.csv"], 1, "in.xlsx: expected a name that ends in .csv, .parquet"),
        (["in.csv", "out.txt"], 1, "out.txt: expected a name that ends in .csv"),
        (["absent.csv", "out.csv"], 1, "absent.csv: no such file"),
        (["in.csv", "in.csv"], 1, "in.csv is the input: name another output"),
        (["in.csv", "absent/out.csv"], 1, "out.csv cannot be written: No such file or directory"),
        (["empty.csv", "out.csv"], 1, "empty.csv is empty: expected a header"),
        (["broken.parquet", "out.csv"], 1, "broken.parquet cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence_and_leaves_nothing_behind(
    desk, arguments, code, sentence
):
    Path("in.csv").write_text("age,visits\n1,2\n")
    Path("full.csv").write_text("age,visits,balance,prediction\n1,2,3,4\n")
    Path("empty.csv").write_text("")
    Path("broken.parquet").write_text("PAR1")

    refused = score(*arguments)

    assert refused.exit_code == code, refused.output
    assert sentence in refused.output
    assert len(list(desk.iterdir())) == 4


def test_a_run_that_is_killed_goes_on_where_it_was_and_ends_as_if_nothing_had_been(desk):
    # Given a long run that is killed when it has some parts
    customers = table(60_000)
    pq.write_table(customers, "in.parquet")
    arguments = ("in.parquet", "out.parquet", "--keep", "customer", "--batch-rows", "20", "--window", "2")
    first = begin(*arguments)
    eventually(lambda: len(parts_of("out.parquet")) >= 3 or first.poll() is not None, "some parts")
    first.kill()
    first.communicate()
    kept = parts_of("out.parquet")
    assert not Path("out.parquet").exists()
    assert kept, "it was killed too late to show anything"

    # When it is given again, with other options
    for changed in (["--keep", "age"], ["--keep", "customer", "--method", "predict_proba"]):
        other = score("in.parquet", "out.parquet", *changed)
        assert other.exit_code == 1
        assert "holds what another run has done" in other.output
    # And as it was
    done = score("in.parquet", "out.parquet", "--keep", "customer")

    # Then what was done is not done again, and the output is whole
    assert done.exit_code == 0, done.output
    n_before = sum(int(path.stem.split("-")[1]) for path in kept)
    assert f"{n_before:,} of them were done before" in done.output
    found = pq.read_table("out.parquet")
    assert found["customer"].equals(customers["customer"])
    np.testing.assert_array_equal(found["prediction"].to_numpy(), estimator().predict(rows_of(customers)))
    assert not Path("out.parquet.partial").exists()


def test_a_run_that_was_killed_with_nothing_done_binds_nobody_and_is_left_alone_by_what_is_refused(desk):
    # Given a run that is killed before its first part
    pq.write_table(table(60_000), "in.parquet")
    first = begin(
        "in.parquet", "out.csv", "--batch-rows", "20", "--window", "2", code=SHORT_PARTS.replace("0.1", "60")
    )
    folder = Path("out.csv.partial")
    eventually(lambda: (folder / "part").exists() or first.poll() is not None, "a part that is begun")
    first.kill()
    first.communicate()
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(left) == {"lock", "manifest.json", "part"}

    # When something else is refused, it stays as it is
    refused = score("in.parquet", "out.csv", "--method", "explain")
    assert refused.exit_code == 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left

    # And another run that takes its place is not refused
    pq.write_table(table(100), "in.parquet")
    done = score("in.parquet", "out.csv", "--method", "predict_proba")
    assert done.exit_code == 0, done.output
    assert len(pc.read_csv("out.csv")) == 100
    assert not folder.exists()


def test_ctrl_c_keeps_every_answer_and_says_how_to_go_on(desk):
    pc.write_csv(table(40_000), "in.csv")
    arguments = ("in.csv", "out.csv", "--batch-rows", "20", "--window", "2")
    run = begin(*arguments)
    eventually(lambda: parts_of("out.csv") or run.poll() is not None, "a part")

    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)

    assert run.returncode == 130, said
    assert "rows are done and kept: the same command goes on from there" in said
    assert "Traceback" not in said, said
    assert score("in.csv", "out.csv").exit_code == 0
    assert len(read("out.csv")) == 40_000


def test_a_second_run_of_the_same_output_is_refused_while_the_first_one_lasts(desk):
    pq.write_table(table(20_000), "in.parquet")
    first = begin("in.parquet", "out.parquet", "--batch-rows", "20", "--window", "2")
    eventually(lambda: parts_of("out.parquet") or first.poll() is not None, "a part")

    second = score("in.parquet", "out.parquet")

    assert second.exit_code == 1
    assert "another `modelane score` is writing" in second.output
    _, said = first.communicate(timeout=120)
    assert first.returncode == 0, said
    assert len(pq.read_table("out.parquet")) == 20_000


def test_a_changed_input_is_not_mixed_with_what_was_done(desk):
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
    assert "done before" not in again.output
    assert Path("out.parquet").read_bytes() == before


def test_a_disk_that_takes_no_more_is_told_and_what_is_done_is_kept(desk):
    # Given a limit that the output exceeds and no part does
    customers = table(12_000)
    pq.write_table(customers, "in.parquet")
    limited = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (400_000, r.RLIM_INFINITY)); {SHORT_PARTS}"
    arguments = ("in.parquet", "out.jsonl", "--keep", "customer", "--batch-rows", "50", "--window", "2")

    run = begin(*arguments, code=limited)
    _, said = run.communicate(timeout=120)

    assert run.returncode == 1, said
    assert "out.jsonl cannot be written: File too large" in said
    assert "12,000 rows are done and kept: the same command goes on from there" in said
    assert "Traceback" not in said, said
    assert not Path("out.jsonl").exists()
    done = score("in.parquet", "out.jsonl", "--keep", "customer")
    assert done.exit_code == 0, done.output
    assert [record["customer"] for record in read("out.jsonl")] == customers["customer"].to_pylist()


def test_what_was_answered_does_not_stay_in_redis(desk, served):
    pq.write_table(table(5000), "in.parquet")
    with redis.Redis.from_url(served.broker_url) as server:
        before = set(server.scan_iter("celery-task-meta-*"))

        assert score("in.parquet", "out.parquet", "--batch-rows", "50").exit_code == 0

        assert set(server.scan_iter("celery-task-meta-*")) <= before


def test_a_redis_that_is_away_is_waited_for_as_long_as_told(desk, monkeypatch, free_port):
    pq.write_table(table(10), "in.parquet")
    monkeypatch.setenv("MODELANE_BROKER_URL", f"redis://127.0.0.1:{free_port}/0")

    gave_up = score("in.parquet", "out.parquet", "--timeout", "1")

    assert gave_up.exit_code == 5
    assert "waiting: Redis does not answer" in gave_up.output
    assert "Error: Redis does not answer" in gave_up.output


def test_a_worker_that_is_away_is_waited_for_as_long_as_told(desk, shared_stack):
    # Given a worker that was told to leave the lane
    pq.write_table(table(10), "in.parquet")
    with shared_stack.held(shared_stack.serving, predict_queue(MODEL)):
        gave_up = score("in.parquet", "out.parquet", "--timeout", "1")

    assert gave_up.exit_code == 6
    assert "check that a worker serves this model" in gave_up.output
    assert not Path("out.parquet.partial").exists()


def test_a_promotion_in_the_middle_mixes_no_versions(desk, served):
    # Given a run that is under way
    customers = table(40_000)
    pq.write_table(customers, "in.parquet")
    with redis.Redis.from_url(served.broker_url) as server:
        old = served_model(server, "", MODEL).version
        run = begin("in.parquet", "out.parquet", "--batch-rows", "20", "--window", "2")
        eventually(lambda: parts_of("out.parquet") or run.poll() is not None, "a part")

        # When another version takes over
        new = publish(served, seed=7)
        try:
            eventually(lambda: served_model(server, "", MODEL).version == new, "the new version")
            said, errors = run.communicate(timeout=120)
        finally:
            publish(served)  # for the other tests
            eventually(
                lambda: served_model(server, "", MODEL).version not in (old, new), "the model as before"
            )

    # Then the run is answered by the old one to its end
    assert run.returncode == 0, errors
    assert f"by churn {old}" in said
    found = pq.read_table("out.parquet")["prediction"].to_numpy()
    np.testing.assert_array_equal(found, estimator().predict(rows_of(customers)))
    assert (found != estimator(7).predict(rows_of(customers))).any()
