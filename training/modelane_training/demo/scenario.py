"""Run the demo: train, start the stack, send requests, ask Flower, print the verdict."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from modelane import Client
from modelane.errors import ModelaneError
from modelane.local.log_output import Output
from modelane.local.ports import free_port
from modelane.local.stack import LocalStack
from modelane.settings import Settings
from modelane_training.demo import summary
from modelane_training.demo.flower import succeeded
from modelane_training.demo.traffic import Tally, Traffic
from modelane_training.pipeline import local_run
from modelane_training.preparation.prepare import prepare
from modelane_training.preparation.split import split
from modelane_training.recipe import Recipe
from modelane_training.recipe_loader import recipe_of

MODEL = "breast-cancer"

#: Lines of the programs' log to print after a failure.
LOG_LINES = 30


def tell(console: Console, *, keep: bool) -> list[str]:
    """Run the demo, and return a sentence for each check that failed.

    Args:
        keep: after success, keep everything running until a KeyboardInterrupt.
    """
    with tempfile.TemporaryDirectory(prefix="modelane-demo-") as folder:
        home = Path(folder)
        # Not from the environment: the demo must not publish into a real store.
        settings = Settings(home=str(home))
        with (home / "programs.log").open("w", encoding="utf-8") as log, ExitStack() as ends:
            try:
                stage = _stage(settings, console, Output(log), ends)
                tally = _traffic(stage, console)
                seen = _ask_flower(stage, tally, console)
            except ModelaneError as error:
                _show_log(console, home / "programs.log")
                console.print(f"FAILED {error}", markup=False, soft_wrap=True)
                return [str(error)]
            failures = summary.failures(tally, seen)
            summary.show(console, tally, seen, failures)
            if keep and not failures:
                console.print(stage.stack.ready_line(), markup=False, soft_wrap=True)
                with suppress(KeyboardInterrupt):  # Ctrl-C is the way to end --keep
                    threading.Event().wait()
            return failures


@dataclass(frozen=True, slots=True)
class _Stage:
    """The programs that run while requests are sent."""

    recipe: Recipe
    stack: LocalStack
    client: Client


def _stage(settings: Settings, console: Console, output: Output, ends: ExitStack) -> _Stage:
    recipe = recipe_of(MODEL, Path(settings.recipes))
    with _step(console, "train") as done:
        trained = local_run.train(settings, recipe, lambda step, detail: None)
        done(f"{MODEL} {trained.version}: {trained.verdict.reason}")
    with _step(console, "start Redis, worker, trainer, Flower") as done:
        stack = LocalStack(settings, redis_port=free_port(), flower_port=free_port(), output=output)
        ends.enter_context(stack)
        stack.wait_until_ready()
        done(f"Flower: {stack.flower_url}")
    client = ends.enter_context(Client(settings=stack.settings))
    return _Stage(recipe, stack, client)


def _traffic(stage: _Stage, console: Console) -> Tally:
    data = prepare(stage.recipe.collect(), stage.recipe)
    _, hold_out = split(data.table, data.recipe)
    traffic = Traffic(stage.client, stage.stack.settings, MODEL, np.asarray(hold_out.matrix()))
    with _step(console, "one by one") as done:
        done(traffic.one_by_one())
    with _step(console, "many in flight") as done:
        done(traffic.all_at_once())
    with _step(console, "in bulk") as done:
        done(traffic.in_bulk())
    with _step(console, "retrain while requests are in flight") as done:
        done(traffic.through_a_retrain())
    with _step(console, "compare every answer with the same version in process") as done:
        done(traffic.compare())
    return traffic.tally


def _ask_flower(stage: _Stage, tally: Tally, console: Console) -> int:
    with _step(console, "ask Flower what it saw") as done:
        seen = succeeded(stage.stack.flower_url, "modelane.predict", at_least=tally.answered)
        done(f"{seen} predictions")
    return seen


@contextmanager
def _step(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner during a step, and print a line after it."""
    results: list[str] = []
    with console.status(title):
        yield results.append
    console.print(f"[green]✓[/] {title}: {results[-1]}", soft_wrap=True)


def _show_log(console: Console, path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines()[-LOG_LINES:]:
        console.print(line, markup=False, soft_wrap=True)
