"""The supervisor restarts programs, forwards their output and stops them in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modelane.local.log_output import Output
from modelane.local.supervisor import Program, Supervisor
from support.processes import assert_gone
from support.programs import Heard, python

DEADLINE_S = 20

#: Prints "up <pid>" and waits; on SIGTERM it prints "bye" and exits.
STOPS_ON_SIGTERM = """
import os, signal, sys
def bye(*_): print("bye"); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("up", os.getpid())
while True: signal.pause()
"""

#: The same, but it ignores SIGTERM.
IGNORES_SIGTERM = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", os.getpid())
while True: signal.pause()
"""

#: Starts a child that ignores SIGTERM, and waits for it.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-Iuc", {IGNORES_SIGTERM!r}])
child.wait()
"""

#: Starts the same child, and exits as soon as it is up.
LEAVING = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-Iuc", {IGNORES_SIGTERM!r}], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline())
"""


@pytest.fixture
def supervisor(output: Output) -> Iterator[Supervisor]:
    supervisor = Supervisor(output, first_pause_s=0.01)
    yield supervisor
    supervisor.kill()


def test_each_line_follows_the_name_of_its_program(supervisor, heard):
    supervisor.start(python("one", "print('first'); print('second'); input()"))
    supervisor.start(python("another", "print('third'); import signal; signal.pause()"))

    heard.wait_for("another  | third\n")
    heard.wait_for("one      | second\n")
    assert "one      | first\n" in heard.getvalue()


def test_lines_of_many_programs_never_mix(supervisor, heard):
    # Given programs that write long lines at the same time
    for number in range(4):
        code = f"for _ in range(200): print('{number}' * 500)\nimport signal; signal.pause()"
        supervisor.start(python(f"p{number}", code))

    # When all lines have been written
    for number in range(4):
        heard.wait_for(str(number) * 500, times=200)

    # Then every line is whole
    for line in heard.getvalue().splitlines():
        assert re.fullmatch(r"p(\d)       \| \1{500}", line)


def test_names_are_coloured_and_text_is_not(heard):
    Output(heard, colour=True).line("worker", "ready")

    assert heard.getvalue() == "\x1b[36mworker   | \x1b[0mready\n"


def test_a_reader_that_has_exited_is_ignored():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        Output(stream).plain("nobody hears this")
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # so that closing can flush


def test_characters_that_the_stream_cannot_encode_are_replaced(tmp_path):
    said = tmp_path / "said"
    with said.open("w", encoding="ascii") as stream:
        Output(stream).line("worker", "fertig ✓")
        Output(stream).plain("déjà vu")

    assert said.read_text() == "worker   | fertig ?\nd?j? vu\n"


def test_a_closed_stream_is_ignored(tmp_path):
    stream = (tmp_path / "said").open("w")
    stream.close()

    Output(stream).plain("nobody hears this")


def test_a_program_that_cannot_be_started_is_reported_and_retried(supervisor, heard, tmp_path):
    # Given a folder that does not exist
    folder = tmp_path / "gone"
    program = python("worker", STOPS_ON_SIGTERM)
    child = supervisor.start(Program(name="worker", command=program.command, cwd=folder))
    heard.wait_for("modelane | worker cannot be started ([Errno 2] No such file or directory")
    heard.wait_for("restarting it in 0.02 s\n")

    # When the folder is created
    folder.mkdir()

    # Then the program runs
    heard.wait_for("worker   | up ")
    assert child.n_exits >= 2


def test_a_program_that_exits_is_restarted_after_growing_pauses(supervisor, heard):
    child = supervisor.start(python("worker", "print('up'); raise SystemExit(3)"))

    heard.wait_for("worker   | up\n", times=3)
    heard.wait_for("modelane | worker exited with code 3; restarting it in 0.01 s\n")
    heard.wait_for("restarting it in 0.02 s\n")
    assert child.n_exits >= 2
    assert "up" in child.last_lines


def test_the_signal_that_killed_a_program_is_reported(supervisor, heard):
    supervisor.start(python("worker", STOPS_ON_SIGTERM))

    os.kill(printed_pid(heard), signal.SIGKILL)

    heard.wait_for("worker was killed by SIGKILL; restarting it")
    heard.wait_for("up ", times=2)


def test_a_missing_program_is_reported(supervisor, heard):
    supervisor.start(Program(name="worker", command=["/no/such/program"]))

    heard.wait_for("cannot run /no/such/program: No such file or directory")


def test_a_stop_waits_for_the_last_lines(supervisor, heard):
    child = supervisor.start(python("worker", STOPS_ON_SIGTERM))
    heard.wait_for("up ")

    supervisor.stop("worker", "never-started", deadline_s=DEADLINE_S)

    assert child.wait(0)
    assert child.n_exits == 0
    assert heard.getvalue().endswith("worker   | bye\n")


def test_a_program_that_ignores_sigterm_is_killed(supervisor, heard):
    supervisor.start(python("worker", IGNORES_SIGTERM))
    pid = printed_pid(heard)

    supervisor.stop("worker", deadline_s=0.1)

    assert "modelane | worker did not stop within 0.1 s: killing it\n" in heard.getvalue()
    assert_gone(pid)


def test_a_kill_ends_the_whole_process_group(supervisor, heard):
    supervisor.start(python("worker", PARENT))
    grandchild = printed_pid(heard)

    supervisor.kill()

    assert_gone(grandchild)


def test_children_of_a_program_that_exited_are_killed(supervisor, heard):
    # Given a program that exits as soon as its child is up
    supervisor.start(python("worker", LEAVING))

    assert_gone(printed_pid(heard))


def test_a_stopped_program_is_not_restarted(supervisor, heard):
    # Given a program in the pause before its restart
    child = Supervisor(Output(heard), first_pause_s=600).start(python("worker", "raise SystemExit"))
    heard.wait_for("restarting it in 600 s")

    # When it is stopped
    child.signal(signal.SIGTERM)

    # Then it stops for good, without waiting for the end of the pause
    assert child.wait(DEADLINE_S)
    assert child.n_exits == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_programs_end_when_their_supervisor_is_killed():
    # Given a supervisor in its own process
    code = f"""
import sys, threading
from modelane.local.log_output import Output
from modelane.local.supervisor import Program, Supervisor
Supervisor(Output(sys.stdout)).start(Program(name="p", command=[sys.executable, "-Iuc", {IGNORES_SIGTERM!r}]))
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE, text=True) as own:
        assert own.stdout is not None
        pid = int(own.stdout.readline().split()[-1])

        # When that process is killed
        own.kill()

    # Then the program ends too
    assert_gone(pid)


def printed_pid(heard: Heard) -> int:
    heard.wait_for("up ")
    return int(re.findall(r"up (\d+)", heard.getvalue())[0])
