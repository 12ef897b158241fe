"""`modelane dead`: list dead letters, put them back into their lane, or delete them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import click

from modelane.broker.connection import connect
from modelane.broker.dead_letters import DeadLetter, DeadLetters
from modelane.keys import predict_queue
from modelane.settings import Settings

#: Dead letters that `list` shows by default.
SHOWN = 50


@click.group()
def dead() -> None:
    """List, redrive or delete dead letters.

    A request becomes a dead letter when it has lost MODELANE_MAX_ATTEMPTS workers, or when the message
    cannot be read. Its caller gets the error Buried.

    \b
    Example:
        modelane dead list
        modelane dead show 6f1c…
        modelane dead redrive 6f1c…
        modelane dead drop --model churn --all
    """  # noqa: D301  # click wants a real backspace


@dead.command(name="list")
@click.option("--model", help="Only dead letters of this model.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=SHOWN,
    show_default=True,
    help="Show at most this many.",
)
def list_(model: str | None, limit: int) -> None:
    """List dead letters, one per line: id, queue and reason.

    \b
    Example:
        modelane dead list --model churn
    """  # noqa: D301  # click wants a real backspace
    with _dead_letters() as letters:
        found = list(islice(_of(letters, model), limit + 1))
    for letter in found[:limit]:
        click.echo(f"{letter.id}  {letter.queue}  {letter.reason}")
    if not found:
        click.echo("no dead letters", err=True)
    if len(found) > limit:
        click.echo(f"there are more: modelane dead list --limit {limit * 10}", err=True)


@dead.command()
@click.argument("id_", metavar="ID")
@click.option("--message", is_flag=True, help="Print the message, too. It contains the caller's rows.")
def show(id_: str, message: bool) -> None:
    """Show the details of a dead letter.

    \b
    Example:
        modelane dead show 6f1c…
    """  # noqa: D301  # click wants a real backspace
    with _dead_letters() as letters:
        letter = _find(letters, id_)
    click.echo(f"id        {letter.id}\nqueue     {letter.queue}\nreason    {letter.reason}")
    if (envelope := letter.envelope) is not None:
        click.echo(f"task      {envelope.headers.task}\nattempts  {envelope.attempts}")
        click.echo(
            f"sender    {envelope.headers.origin or '-'}\narguments {envelope.headers.argsrepr or '-'}"
        )
    if message:
        click.echo(letter.message.decode(errors="replace"))


@dead.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--model", help="With --all: only dead letters of this model.")
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
def redrive(ids: tuple[str, ...], model: str | None, all_: bool) -> None:
    """Put dead letters back into their lane.

    Their attempts start at zero, and they have no deadline.

    \b
    Example:
        modelane dead redrive 6f1c…
        modelane dead redrive --all --model churn
    """  # noqa: D301  # click wants a real backspace
    with _dead_letters() as letters:
        chosen = _chosen(letters, ids, model, all_)
        done = [letter.id for letter in chosen if letters.redrive(letter)]
    for letter in chosen:
        if letter.envelope is None:
            click.echo(
                f"{letter.id} is not a Celery message and cannot be put back: modelane dead drop {letter.id}",
                err=True,
            )
    click.echo(f"{len(done)} put back")


@dead.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--model", help="With --all: only dead letters of this model.")
@click.option("--all", "all_", is_flag=True, help="All dead letters.")
def drop(ids: tuple[str, ...], model: str | None, all_: bool) -> None:
    """Delete dead letters.

    \b
    Example:
        modelane dead drop 6f1c…
        modelane dead drop --all --model churn
    """  # noqa: D301  # click wants a real backspace
    with _dead_letters() as letters:
        done = [letter.id for letter in _chosen(letters, ids, model, all_) if letters.drop(letter)]
    click.echo(f"{len(done)} deleted")


@contextmanager
def _dead_letters() -> Iterator[DeadLetters]:
    settings = Settings.from_env(os.environ)
    with connect(settings) as client:
        yield DeadLetters(client, settings.prefix)


def _of(letters: DeadLetters, model: str | None) -> Iterator[DeadLetter]:
    for queue in [predict_queue(model)] if model else letters.queues():
        yield from letters.of(queue)


def _chosen(letters: DeadLetters, ids: tuple[str, ...], model: str | None, all_: bool) -> list[DeadLetter]:
    if bool(ids) == all_:
        raise click.UsageError("give the ids of dead letters, or --all")
    return list(_of(letters, model)) if all_ else [_find(letters, id_) for id_ in ids]


def _find(letters: DeadLetters, id_: str) -> DeadLetter:
    letter = letters.find(id_)
    if letter is None:
        raise click.ClickException(f"no dead letter {id_}: `modelane dead list` shows all ids")
    return letter
