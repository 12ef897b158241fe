"""The argument MODEL, which shells complete."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

#: Seconds in which Redis has to answer while somebody presses Tab.
PATIENCE_S = 0.3


class ModelName(click.ParamType[str]):
    """A model's name; those that are in service are offered."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(name) for name in _served() if name.startswith(incomplete)]


def _served() -> list[str]:
    """None at all if that cannot be told at once."""
    import redis  # noqa: PLC0415  # only when somebody presses Tab

    from modelane.broker.served_models import served_models  # noqa: PLC0415
    from modelane.errors import ModelaneError  # noqa: PLC0415
    from modelane.settings import Settings  # noqa: PLC0415

    try:
        settings = Settings.from_env(os.environ)
        with redis.Redis.from_url(
            settings.broker_url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S
        ) as client:
            return [served.model for served in served_models(client, settings.prefix)]
    except (ModelaneError, ValueError):
        return []
