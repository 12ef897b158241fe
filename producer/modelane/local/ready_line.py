"""The line that ``modelane up`` prints when the whole stack is ready."""

from __future__ import annotations

import pkgutil
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from modelane.errors import StoreError
from modelane.settings import Settings

#: The worker's class that reads a model store. Loaded by name, because imports go from the worker to this
#: package.
_STORE = "modelane_worker.registry.store:Store"


def ready_line(settings: Settings, flower_url: str) -> str:
    """Return ``ready broker=URL flower=URL store=PATH models=NAMES``, with passwords masked."""
    store = settings.store_path.absolute()
    return (
        f"ready broker={mask_password(settings.broker_url)} flower={flower_url} "
        f"store={store} models={','.join(models_with_champion(store))}"
    )


def models_with_champion(root: Path) -> list[str]:
    """Return the sorted names of the models whose champion a worker can serve.

    What cannot be read is left out; the worker reports it.
    """
    store = pkgutil.resolve_name(_STORE)(root)
    names: list[str] = []
    with suppress(StoreError):
        for name in store.models():
            with suppress(StoreError):
                if store.champion(name) is not None:
                    names.append(name)
    return names


def mask_password(url: str) -> str:
    """Return ``url`` without its passwords: before the host, and as a query parameter of redis-py."""
    parts = urlsplit(url)
    query = re.sub(r"(^|&)(password=)[^&]*", r"\1\2***", parts.query)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}:***@{host}" if colon else user + at + host
    return parts._replace(netloc=netloc, query=query).geturl()
