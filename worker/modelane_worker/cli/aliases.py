"""`modelane promote` and `modelane rollback`: choose which version answers."""

from __future__ import annotations

import click

from modelane.errors import BrokerRefused, BrokerUnavailable
from modelane.settings import Settings
from modelane_worker.cli import known_model, known_version, open_store
from modelane_worker.registry import notify
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Aliases, Store


@click.command()
@click.argument("model")
@click.argument("version")
def promote(model: str, version: str) -> None:
    """Make VERSION of MODEL the one that answers.

    VERSION is an id (`modelane models MODEL` lists them), its beginning or its end, or `previous`. It is
    promoted only if a trusted key has signed it.

    \b
    Example:
        modelane promote churn 20261122T113000-1a2b3c4d
        modelane promote churn 1a2b3c4d
    """  # noqa: D301  # click wants a real backspace
    settings, store = open_store()
    wanted = known_version(store, known_model(store, model), version)
    _require_trust(settings, store, model, wanted)
    before = store.champion(model)
    _told(settings, model, before, store.promote(model, wanted))


@click.command()
@click.argument("model")
def rollback(model: str) -> None:
    """Return MODEL to the version that answered before; once more undoes it.

    \b
    Example:
        modelane rollback churn
    """  # noqa: D301  # click wants a real backspace
    settings, store = open_store()
    previous = store.aliases(known_model(store, model)).previous
    if previous is not None:
        _require_trust(settings, store, model, store.resolve(model, previous))
    before = store.champion(model)
    _told(settings, model, before, store.rollback(model))


def _require_trust(settings: Settings, store: Store, model: str, version: str) -> None:
    """Raises :class:`UntrustedModel`: every worker would refuse it, and go on with the old one."""
    if settings.trusted_keys_path.exists():
        store.read(model, version, TrustedKeys.load(settings.trusted_keys_path))
    else:
        click.echo(
            f"note: no trusted keys at {settings.trusted_keys_path} (MODELANE_TRUSTED_KEYS), "
            "so its signature is left for the workers to check",
            err=True,
        )


def _told(settings: Settings, model: str, before: str | None, aliases: Aliases) -> None:
    if before == aliases.champion:
        click.echo(f"{model}: {aliases.champion} answers already")
        return
    click.echo(f"{model}: {aliases.champion} answers now, {aliases.previous or 'none'} did before")
    try:
        notify.ring(settings, model)
    except (BrokerUnavailable, BrokerRefused) as exc:
        click.echo(
            f"note: workers could not be told ({exc}); they look for themselves every "
            f"{settings.store_poll_s:g} s",
            err=True,
        )
