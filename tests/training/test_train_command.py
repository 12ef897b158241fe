"""``modelane train``, in process and as a program that is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from modelane.cli import main
from modelane.settings import Settings
from modelane_training.pipeline.local_run import signing_key
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.store import Store
from support.processes import assert_gone
from support.waiting import eventually

IRIS = """
recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500))
"""

#: Writes its process id and how it handles SIGINT, and never ends.
ENDLESS = """
import os, pathlib, signal, time

class Endless(LogisticRegression):
    def fit(self, rows, targets):
        handler = signal.getsignal(signal.SIGINT)
        new = pathlib.Path({marker!r} + ".new")
        new.write_text(f"{{os.getpid()}} {{getattr(handler, '__name__', handler)}}")
        new.rename({marker!r})
        while True:
            time.sleep(0.01)

recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=Endless())
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELANE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELANE_RECIPES", str(tmp_path / "recipes"))
    return tmp_path / "home"


def train(*arguments: str):
    return CliRunner().invoke(main, ["train", *arguments])


def test_training_in_the_foreground_ends_with_the_verdict(home, write):
    write(IRIS)

    result = train("iris")

    assert result.exit_code == 0, result.output
    version = Store(home / "models").champion("iris")
    assert result.stdout.splitlines()[-1].startswith(f"iris: version {version} is promoted: accuracy ")
    for step in ("collect", "fit", "gate", "publish", "promote"):
        assert f"\n{step} " in "\n" + result.stderr


def test_the_first_training_creates_a_key_that_workers_trust(home, write):
    write(IRIS)
    train("iris")

    trusted = TrustedKeys.load(home / "keys/trusted.pem")
    store = Store(home / "models")
    store.read("iris", store.resolve("iris"), trusted)


def test_a_kept_champion_has_its_own_exit_code(home, write):
    write(IRIS)
    train("iris")

    result = train("iris", "--quiet")

    assert result.exit_code == 3
    assert "is not promoted: " in result.stdout
    assert len(result.output.splitlines()) == 1


@pytest.mark.full
def test_a_recipe_can_be_given_as_a_path(home, write):
    assert train(str(write(IRIS, "elsewhere.py"))).exit_code == 0


SLOW = """
import os, time

def make(seed):
    held = {order}
    time.sleep(60)

recipe = Recipe(model="iris", source=scikit_learn("iris"), estimator=make)
"""


@pytest.mark.parametrize(
    ("order", "setting", "sentence"),
    [
        ("b'1' * 2**30", "LIMIT_MB=600", "of memory, more than the limit of 600 MiB"),
        # tests/training/test_process.py proves these for any run
        pytest.param("time.sleep(60)", "LIMIT_S=8", "exceeded the time limit of 8 s", marks=pytest.mark.full),
        pytest.param(
            "os._exit(3)", "LIMIT_S=60", "exited with status 3 and reported no result", marks=pytest.mark.full
        ),
    ],
)
def test_the_limits_of_a_retraining_also_apply_in_the_foreground(home, write, order, setting, sentence):
    write(SLOW.format(order=order))
    name, _, value = setting.partition("=")

    result = CliRunner(env={f"MODELANE_RETRAIN_{name}": value}).invoke(main, ["train", "iris"])

    assert result.exit_code == 1
    assert sentence in result.output
    assert Store(home / "models").models() == []


def test_an_error_is_one_sentence_and_exit_code_1(home):
    result = train("churn")

    assert result.exit_code == 1
    assert "no recipe for churn" in result.output
    assert "Traceback" not in result.output


def test_a_missing_signing_key_that_was_named_is_not_created(home, write, tmp_path, monkeypatch):
    write(IRIS)
    monkeypatch.setenv("MODELANE_SIGNING_KEY", str(tmp_path / "vault/key.pem"))

    result = train("iris")

    assert result.exit_code == 2
    assert "no signing key at" in result.output
    assert not (tmp_path / "vault").exists()
    assert Store(home / "models").models() == []


def test_a_named_signing_key_is_used(tmp_path):
    SigningKey.create(tmp_path / "key.pem", tmp_path / "trusted.pem")

    key = signing_key(Settings(home=str(tmp_path / "home"), signing_key=str(tmp_path / "key.pem")))

    TrustedKeys.load(tmp_path / "trusted.pem").verify(b"card", key.sign(b"card"))
    assert not (tmp_path / "home").exists()


def test_the_help_has_an_example_and_the_exit_codes(home):
    result = train("--help")

    assert "\n      modelane train breast-cancer\n" in result.output
    assert "\n      3    trained and published, but the gate kept the champion\n" in result.output


#: A program that ignores SIGINT, as shell scripts start background programs.
IN_BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", "from modelane.cli import main; main()", "train", "iris"])
"""


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_publishes_nothing_and_reports_it(home, write, tmp_path, which):
    # Given a training that is fitting in the background
    marker = tmp_path / "fitting"
    write(ENDLESS.format(marker=str(marker)))
    with subprocess.Popen(
        [sys.executable, "-c", IN_BACKGROUND],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: marker.exists() or process.poll() is not None, "the fit")

        # When it receives a signal
        process.send_signal(which)
        _, said = process.communicate(timeout=30)

    # Then it exits as the shell expects, its child process ends too, and the store is unchanged
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    pid, handler = marker.read_text().split()
    assert_gone(int(pid))
    assert handler == "default_int_handler"
    assert Store(home / "models").models() == []
    assert not list(home.glob("models/**/*"))
