"""Fixtures for all tests, and their two tiers.

Redis is a real server on a free port; nothing needs a network.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from modelane.local import ports
from modelane.local.redis_server import RedisServer
from modelane.settings import ENV_PREFIX
from support import tiers

if TYPE_CHECKING:
    from support.workplace import SharedStack, Workplace


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=0.0, help="break everything at random for so many seconds")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[tiers.COUNTS] = Counter()
    # A script that starts pytest in the background has it ignore these signals, and children inherit that. A
    # handler that does nothing is as deaf, and children start with the default.
    for ignored in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run a few files in this process: another one would take longer to start than they take.

    Tests of the default tier often wait, so it gets one process more than there are cores; those of the full
    tier keep all cores busy.
    """
    if config.args != config.getini("testpaths"):
        return 0
    return (os.cpu_count() or 1) + 1 if config.option.markexpr == "not full" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[tiers.COUNTS] = tiers.count_full(items)
    items.sort(key=tiers.order_of)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> tiers.ByGroup:
    return tiers.ByGroup(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["full"] = dict(session.config.stash[tiers.COUNTS])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    node.config.stash[tiers.COUNTS] = Counter(getattr(node, "workeroutput", {}).get("full", {}))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[tiers.COUNTS]
    if counts and config.option.markexpr == "not full":
        terminalreporter.write_line(tiers.last_line(counts))


@pytest.fixture(autouse=True, scope="session")
def _no_modelane_environment() -> Iterator[None]:
    """A developer's shell cannot change a result."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(variable)
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for the whole run, nothing kept on disk.  To stop one, start your own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The server's URL, its data flushed first."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a trained model, its keys and a spare version; tests work on copies."""
    from support.workplace import prepare_home

    home = tmp_path_factory.mktemp("trained") / "home"
    prepare_home(home)
    return home


@pytest.fixture
def workplace(trained: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A Redis and a home for one test, without a worker: for tests that break something."""
    from support.workplace import Workplace

    shutil.copytree(trained, tmp_path / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=tmp_path / "redis"))
        yield Workplace(tmp_path / "home", server, ends)


@pytest.fixture(scope="session")
def shared_stack(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStack]:
    """One Redis, worker and trainer for all tests of this process that leave them as they found them."""
    from support.workplace import SharedStack

    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(trained, folder / "home")
    with ExitStack() as ends:
        server = ends.enter_context(RedisServer(folder=folder / "redis"))
        yield SharedStack(folder / "home", server, ends)
        gc.collect()  # results of stock Celery unsubscribe when they go, and Redis must be there


@pytest.fixture
def shared(shared_stack: SharedStack) -> Iterator[SharedStack]:
    """The shared stack, with its champion put back afterwards."""
    yield shared_stack
    shared_stack.restore()


@pytest.fixture
def free_port() -> int:
    return ports.free_port()
