"""The argument MODEL, which shells complete with the models in service."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

#: Seconds that Redis has to answer after a user pressed Tab.
COMPLETION_TIMEOUT_S = 0.3


class ModelName(click.ParamType[str]):
    """The name of a model; completion offers the models in service."""

    name = "model"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del ctx, param
        return [CompletionItem(name) for name in _served() if name.startswith(incomplete)]


def _served() -> list[str]:
    """Return the names of models in service; none if Redis does not answer in time."""
    import redis  # noqa: PLC0415  # only for completion

    from modelane.broker.served_models import served_models  # noqa: PLC0415
    from modelane.errors import ModelaneError  # noqa: PLC0415
    from modelane.settings import Settings  # noqa: PLC0415

    try:
        settings = Settings.from_env(os.environ)
        with redis.Redis.from_url(
            settings.broker_url,
            socket_timeout=COMPLETION_TIMEOUT_S,
            socket_connect_timeout=COMPLETION_TIMEOUT_S,
        ) as client:
            return [served.model for served in served_models(client, settings.prefix)]
    except (ModelaneError, ValueError):
        return []
