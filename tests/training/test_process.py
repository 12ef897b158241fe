"""A run in its own process: each failure becomes one error, and no process is left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from modelane.errors import BadData, BrokerUnavailable, RecipeError, Revoked, RunEnded, TryLater
from modelane.local.die_with_parent import group_dies_with_parent
from modelane.settings import Settings
from modelane_training.trainer import memory_limit, run_process
from modelane_training.trainer.run_process import run_in_subprocess
from modelane_training.trainer.run_protocol import RunOrder
from support.processes import assert_gone
from support.waiting import eventually

#: The first lines of a child process; without slow imports.
HEAD = """
import json, os, sys, time
order = json.loads(sys.stdin.readline())
def say(**said): os.write(1, json.dumps(said).encode() + b"\\n")
def step(name): say(type="step", step=name, detail=order["model"])
"""
DONE = 'say(type="done", result={"version": "v1"})'


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(run_process, "CHECK_S", 0.05)

    def run(code: str, *, steps=None, may_publish=lambda: None, stop_reason=lambda: None, **settings):
        return run_in_subprocess(
            msgspec.structs.replace(Settings(), **settings),
            RunOrder("churn", "the run"),
            progress=lambda step, detail: (steps if steps is not None else []).append(step),
            may_publish=may_publish,
            stop_reason=stop_reason,
            command=[sys.executable, "-Ic", HEAD + code],
        )

    return run


def test_the_parent_receives_steps_and_result(run):
    steps = []

    assert run(f"step('fit'); step(order['run_id']); {DONE}", steps=steps) == {"version": "v1"}
    assert steps == ["fit", "the run"]


def test_a_modelane_error_keeps_its_class_and_message(run):
    with pytest.raises(BadData, match="nothing to tell apart"):
        run('say(type="failed", code="BadData", sentence="nothing to tell apart")')


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("os._exit(3)", "exited with status 3 and reported no result"),
        ("sys.exit(0)", "exited with status 0 and reported no result"),
        ("import ctypes; ctypes.string_at(0)", "crashed (SIGSEGV)"),
        ("os.abort()", "crashed (SIGABRT)"),
        ("os.write(1, b'hello\\n'); time.sleep(99)", "sent an invalid message"),
        ("os.write(1, b'x' * 3_000_000); time.sleep(99)", "sent an invalid message"),
    ],
)
def test_an_exit_without_a_result_is_explained(run, code, sentence):
    with pytest.raises(RunEnded) as ended:
        run(code)

    assert sentence in str(ended.value)


def test_a_run_that_was_killed_can_be_retried(run):
    with pytest.raises(TryLater, match="was killed"):
        run("os.kill(os.getpid(), 9)")


def test_a_run_that_hangs_is_stopped_by_its_time_limit(run):
    with pytest.raises(RunEnded, match=r"the time limit of 0\.5 s .* MODELANE_RETRAIN_LIMIT_S"):
        run("while True: pass", retrain_limit_s=0.5)


@pytest.mark.skipif(
    not memory_limit.used_bytes(0) and not Path("/proc/self/status").exists(), reason="needs /proc"
)
def test_a_run_that_uses_too_much_memory_is_stopped_with_its_children(run):
    # Given a run whose child process allocates the memory
    greedy = "import subprocess; subprocess.run([sys.executable, '-Ic', 'x = b\"1\" * 2**28; input()'])"

    with pytest.raises(RunEnded, match=r"used \d+ MiB of memory, more than the limit of 128 MiB"):
        run(f"import sys, os; r, w = os.pipe(); os.dup2(r, 0); {greedy}", retrain_limit_mb=128)


def test_child_processes_end_with_the_run(run, tmp_path):
    pid = tmp_path / "pid"
    code = f"""
import subprocess
other = subprocess.Popen([sys.executable, '-Ic', 'import time; time.sleep(99)'])
open({str(pid)!r}, 'w').write(str(other.pid))
{DONE}
"""
    run(code)

    assert_gone(int(pid.read_text()))


def test_all_processes_end_when_the_trainer_is_killed(tmp_path):
    # Given a trainer, the guard, the run, and the run's child process
    pids = tmp_path / "pids"
    inner = f"""
import os, subprocess, sys, time
other = subprocess.Popen([sys.executable, '-Ic', 'import time; time.sleep(99)'])
open({str(pids)!r} + '.new', 'w').write(f'{{os.getppid()}} {{os.getpid()}} {{other.pid}}')
os.rename({str(pids)!r} + '.new', {str(pids)!r})
time.sleep(99)
"""
    outer = f"""
import subprocess, time
command = {group_dies_with_parent([sys.executable, "-Ic", inner])!r}
subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
time.sleep(99)
"""
    trainer = subprocess.Popen([sys.executable, "-Ic", outer])
    eventually(pids.exists, "the ids of its processes", 20)

    trainer.kill()
    trainer.wait()

    for pid in pids.read_text().split():
        assert_gone(int(pid))


def test_a_cancelled_run_is_stopped_immediately(run):
    steps = []

    with pytest.raises(Revoked):
        run("step('fit'); time.sleep(99)", steps=steps, stop_reason=lambda: Revoked("x") if steps else None)


def test_a_run_publishes_only_with_permission_and_is_not_cancelled_after_that(run):
    # Given Redis does not answer at first, and the run is cancelled after it has started to publish
    asked = []

    def may_publish():
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise BrokerUnavailable("away")

    code = f"step('publish'); assert sys.stdin.readline() == 'go\\n'; time.sleep(0.3); {DONE}"
    result = run(code, may_publish=may_publish, stop_reason=lambda: Revoked("x") if len(asked) > 1 else None)

    assert result == {"version": "v1"}
    assert len(asked) == 2


def test_a_run_that_another_trainer_has_taken_over_publishes_nothing(run, tmp_path):
    published = tmp_path / "published"

    def may_publish():
        raise RunEnded("another trainer has taken it over")

    with pytest.raises(RunEnded, match="another trainer"):
        run(
            f"step('publish'); sys.stdin.readline(); open({str(published)!r}, 'w')",
            may_publish=may_publish,
        )

    assert not published.exists()


def test_a_recipe_can_print_read_stdin_and_exit(write, tmp_path):
    # Given a recipe that writes to any inherited pipe, reads from it, and ends the process
    path = write(
        """
        import os, sys
        print("hello", flush=True)
        os.write(1, b"world\\n")
        assert sys.stdin.read() == ""
        def read(target):
            sys.exit("no")
        recipe = Recipe(model="iris", source=read, estimator=LogisticRegression())
        """
    )
    settings = Settings(home=str(tmp_path / "home"), recipes=str(path.parent), broker_url="amqp://nowhere")

    with pytest.raises(RecipeError, match=r"the recipe of iris called exit\('no'\)"):
        run_in_subprocess(
            settings,
            RunOrder("iris", "the run"),
            progress=lambda *_: None,
            may_publish=lambda: None,
            stop_reason=lambda: None,
        )
