"""Fixtures of the fault tests, and the table of their results: ``uv run pytest tests/faults``."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, astuple
from pathlib import Path

import pytest

from faults import frail
from faults.load import Toll
from faults.scene import Scene
from modelane.local.redis_server import RedisServer
from modelane.settings import Settings
from support.tables import rows_of

ROW = "fault table"
HEADINGS = (
    "fault",
    "times",
    "in flight",
    "answered",
    "lost",
    "wrong",
    "not once",
    "fenced",
    "first answer s",
)


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("published")
    frail.publish(Settings(home=str(home)))
    return home


@pytest.fixture
def scene(published: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[Scene]:
    shutil.copytree(published, tmp_path / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=tmp_path / "redis"))
        yield Scene(tmp_path / "home", server, ends, lambda toll: record_property(ROW, asdict(toll)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not (table := [Toll(**row) for row in rows_of(terminalreporter, ROW)]):
        return
    terminalreporter.section("fault table")
    width = max(len(toll.fault) for toll in table)
    terminalreporter.line(f"{HEADINGS[0]:{width}}  " + "  ".join(HEADINGS[1:]))
    for toll in table:
        fault, *counts, seconds = astuple(toll)
        numbers = "  ".join(f"{n:{len(h)}}" for n, h in zip(counts, HEADINGS[1:], strict=False))
        terminalreporter.line(f"{fault:{width}}  {numbers}  {seconds:{len(HEADINGS[-1])}.2f}")
