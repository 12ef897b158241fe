"""Two trainers that are restarted when they die, and the table of what happened to killed runs."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from modelane.client.answer import Progress
from modelane.local.log_output import Output
from modelane.local.redis_server import RedisServer
from modelane.local.supervisor import Program, Supervisor
from support.tables import rows_of
from support.workplace import Workplace

TESTS = Path(__file__).parents[1]
ROW = "killed retrainings"

#: Seconds until all runs have ended, on a busy machine.
DEADLINE_S = 1500.0

#: Points where a run is killed, in the order of its steps, with their texts in the table.
POINTS = {
    "collect": "collect",
    "check": "check",
    "split": "split",
    "between-trials": "search, between trials",
    "in-a-trial": "search, in a trial",
    "fit": "fit",
    "evaluate": "evaluate",
    "gate": "gate",
    "report": "report",
    "publish": "publish, nothing written",
    "written": "publish, written, not yet renamed",
    "renamed": "publish, renamed",
    "promote": "promote, alias not moved",
    "flipped": "promote, alias moved",
    "ended": "ended, result not sent yet",
}
#: Points where only the run is killed: its trainer knows immediately, so a few points are enough.
ALONE = ("collect", "in-a-trial", "fit", "written", "renamed", "flipped")
CASES = [("trainer", point) for point in POINTS] + [("run", point) for point in ALONE]

RECIPE = """
from pathlib import Path
from sklearn.linear_model import LogisticRegression
from modelane_training.recipe import Recipe
from modelane_training.sources import scikit_learn
model, estimator = Path(__file__).stem, LogisticRegression(max_iter=500)
recipe = Recipe(model=model, source=scikit_learn("iris"), estimator=estimator)
"""
SEARCH = """
from pathlib import Path
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import scikit_learn
budget = Budget(trials=6, minutes=10)
recipe = Recipe(
    model=Path(__file__).stem, source=scikit_learn("iris"), candidates=("linear",), budget=budget
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """A row of the table: one run that was killed.

    Attributes:
        victim: ``trainer``, or the process of the ``run`` alone.
        point: name of the point, a key of ``POINTS``.
        happened: whether it was killed there.
        outcome: the result that its caller got.
        versions: number of versions in the store.
        champion: whether the version in the result is the champion.
        leftovers: files in the model's folder that are neither versions nor aliases.
        took_s: seconds from the request to the result, while all others run too.
        n_tried: number of finished trials of a search, in each report of progress.
    """

    victim: str
    point: str
    happened: bool
    outcome: str
    versions: int
    champion: bool
    leftovers: tuple[str, ...]
    took_s: float
    n_tried: tuple[int, ...] = ()


@pytest.fixture(scope="session")
def falls(tmp_path_factory: pytest.TempPathFactory) -> list[Fall]:
    """Run all cases at the same time on two trainers, each with its own model."""
    folder = tmp_path_factory.mktemp("falls")
    for name in ("home", "marks", "recipes"):
        (folder / name).mkdir()
    for victim, point in CASES:
        (folder / "recipes" / f"{victim}-at-{point}.py").write_text(SEARCH if "trial" in point else RECIPE)
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer())
        workplace = Workplace(
            folder / "home", server, ends, recipes=str(folder / "recipes"), result_ttl_s=DEADLINE_S
        )
        with _trainers(workplace, folder):
            return list(_fall(workplace, folder / "marks"))


def _fall(workplace: Workplace, marks: Path) -> Iterator[Fall]:
    began_s = time.monotonic()
    ended_s: dict[str, float] = {}
    client = workplace.client()
    runs = {}
    said: dict[str, list[str]] = {}
    for victim, point in CASES:
        model = f"{victim}-at-{point}"
        runs[model] = client.retrain(
            model,
            timeout_s=DEADLINE_S,
            on_progress=partial(_hear, said.setdefault(model, [])),
        )
        runs[model].add_done_callback(lambda run: ended_s.setdefault(run.id, time.monotonic()))
    for (victim, point), (model, run) in zip(CASES, runs.items(), strict=True):
        error = run.exception()
        version = "" if error else run.result().version
        home = workplace.store.root / model
        known = {"aliases.json", ".lock", *workplace.store.versions(model)}
        yield Fall(
            victim=victim,
            point=point,
            happened=(marks / model).exists(),
            outcome=repr(error) if error else "promoted" if run.result().promoted else "kept",
            versions=len(workplace.store.versions(model)),
            champion=workplace.store.champion(model) == version,
            leftovers=tuple(path.name for path in home.iterdir() if path.name not in known),
            took_s=ended_s[run.id] - began_s,
            n_tried=tuple(int(n) for n in re.findall(r"trial (\d+)/6", " ".join(said[model]))),
        )


def _hear(said: list[str], progress: Progress) -> None:
    said.append(progress.detail)


def _trainers(workplace: Workplace, folder: Path) -> ExitStack:
    ends = ExitStack()
    log = ends.enter_context((folder / "trainers.log").open("w"))
    supervisor = Supervisor(Output(log), first_pause_s=0.1)
    env = {
        **os.environ,
        **workplace.settings.to_env(),
        "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        "MORTAL_MARKS": str(folder / "marks"),
    }
    for number in (1, 2):
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "retraining.mortal",
            "worker",
            "-n",
            f"t{number}@falls",
        ]
        supervisor.start(Program(name=f"t{number}", command=[*command, "--loglevel=INFO"], env=env))
    ends.callback(supervisor.kill)
    return ends


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (table := [Fall(**row) for row in rows_of(terminalreporter, ROW)]):
        return
    terminalreporter.section("killed retrainings")
    width = max(map(len, POINTS.values()))
    terminalreporter.line(f"kill -9 of  {'at':{width}}  outcome   versions  champion  leftovers  after s")
    for fall in table:
        terminalreporter.line(
            f"{fall.victim:10}  {POINTS[fall.point]:{width}}  {fall.outcome:8}  {fall.versions:8}  "
            f"{'it' if fall.champion else 'WRONG':8}  {len(fall.leftovers):9}  {fall.took_s:7.1f}"
        )
