"""Read a command's MODEL and VERSION arguments against the model store."""

from __future__ import annotations

import os
from difflib import get_close_matches

from modelane.errors import NoSuchVersion, UnknownModel
from modelane.keys import check_model_name
from modelane.settings import Settings
from modelane_worker.registry.aliases import ALIAS_NAMES
from modelane_worker.registry.store import Store


def open_store() -> tuple[Settings, Store]:
    """Return the settings of the environment and the model store that they name."""
    settings = Settings.from_env(os.environ)
    return settings, Store(settings.store_path)


def find_model(store: Store, model: str) -> str:
    """Return ``model`` if the store has it.

    Raises:
        UnknownModel: The store does not have it; the message lists the models that it has.
    """
    models = store.models()
    if check_model_name(model) in models:
        return model
    root = store.root.absolute()
    if not models:
        raise UnknownModel(
            f"no model {model!r}: the model store {root} is empty; train a model with `modelane train`, "
            "or check MODELANE_STORE_URL and MODELANE_HOME"
        )
    close = get_close_matches(model, models, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UnknownModel(f"no model {model!r} in the model store {root}: it has {', '.join(models)}{hint}")


def find_version(store: Store, model: str, name: str) -> str:
    """Return the id of the version that ``name`` stands for.

    Args:
        store: The model store.
        model: A model that the store has.
        name: An alias, a version id, or the beginning or the end of one.

    Raises:
        NoSuchVersion: No version matches, or more than one does.
    """
    if name in ALIAS_NAMES:
        return store.resolve(model, name)
    versions = store.versions(model)
    found = [v for v in versions if name == v] or [
        v for v in versions if v.startswith(name) or v.endswith(name)
    ]
    if len(found) > 1:
        raise NoSuchVersion(
            f"version {name!r} of {model} is ambiguous: it matches {', '.join(found)}; give more of the id"
        )
    return found[0] if found else store.resolve(model, name)
