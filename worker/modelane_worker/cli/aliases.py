"""`modelane promote` and `modelane rollback`: choose which version of a model answers requests."""

from __future__ import annotations

import click

from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.settings import Settings
from modelane_worker.cli.store_arguments import find_model, find_version, open_store
from modelane_worker.registry import notify
from modelane_worker.registry.aliases import Aliases
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store


@click.command()
@click.argument("model")
@click.argument("version")
def promote(model: str, version: str) -> None:
    """Make VERSION the champion of MODEL: the version that answers its requests.

    VERSION is a version id (`modelane models MODEL` lists them), the beginning or the end of an id, or
    `previous`. A version whose signature does not match a trusted key is not promoted. Running workers load
    the new champion and switch to it between two batches.

    \b
    Examples:
        modelane promote churn 20261122T113000-1a2b3c4d
        modelane promote churn 1a2b3c4d
        modelane promote churn previous
    """  # noqa: D301  # click needs a real backspace
    settings, store = open_store()
    chosen = find_version(store, find_model(store, model), version)
    _check_signature(settings, store, model, chosen)
    before = store.champion(model)
    _report(settings, model, before, store.promote(model, chosen))


@click.command()
@click.argument("model")
def rollback(model: str) -> None:
    """Make the previous version of MODEL its champion again.

    The champion and the previous version change places, so a second rollback undoes the first.

    \b
    Examples:
        modelane rollback churn
    """  # noqa: D301  # click needs a real backspace
    settings, store = open_store()
    previous = store.aliases(find_model(store, model)).previous
    if previous is not None:
        _check_signature(settings, store, model, store.resolve(model, previous))
    before = store.champion(model)
    _report(settings, model, before, store.rollback(model))


def _check_signature(settings: Settings, store: Store, model: str, version: str) -> None:
    """Check a version's signature if this machine has the trusted keys.

    Raises:
        UntrustedModel: Every worker would refuse the version and keep the old champion.
    """
    if settings.trusted_keys_path.exists():
        store.read(model, version, TrustedKeys.load(settings.trusted_keys_path))
    else:
        click.echo(
            f"note: the signature was not checked, because there are no trusted keys at "
            f"{settings.trusted_keys_path} (MODELANE_TRUSTED_KEYS); "
            "workers check it before they load the version",
            err=True,
        )


def _report(settings: Settings, model: str, before: str | None, aliases: Aliases) -> None:
    """Print which version is champion, and notify the workers if it is another one than before."""
    if before == aliases.champion:
        click.echo(f"{model}: {aliases.champion} is already the champion")
        return
    click.echo(
        f"{model}: the champion is now {aliases.champion}, the previous one is {aliases.previous or 'none'}"
    )
    try:
        notify.notify_workers(settings, model)
    except (BrokerUnavailable, BrokerRefused) as exc:
        click.echo(
            f"note: the workers could not be notified ({exc}); they check the model store every "
            f"{settings.store_poll_s:g} s",
            err=True,
        )
