"""Commands over the model store: look at versions, compare them, choose which one answers."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from modelane.errors import NoSuchVersion, UnknownModel
from modelane.keys import check_model_name
from modelane.settings import Settings
from modelane_worker.registry.store import Aliases, Store


def open_store() -> tuple[Settings, Store]:
    settings = Settings.from_env(os.environ)
    return settings, Store(settings.store_path)


def known_model(store: Store, model: str) -> str:
    """``model`` if the store has it.

    Raises:
        UnknownModel: it has not; the sentence says which it has.
    """
    models = store.models()
    if check_model_name(model) in models:
        return model
    close = get_close_matches(model, models, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    has = f"it has {', '.join(models)}" if models else "it is empty (MODELANE_STORE_URL, MODELANE_HOME)"
    raise UnknownModel(f"no model {model} in the store {_shown(store.root)}: {has}{meant}")


def known_version(store: Store, model: str, name: str) -> str:
    """The version that an alias, an id, or the beginning or end of an id stands for.

    Raises:
        NoSuchVersion: none, or several.
    """
    if name in Aliases.__struct_fields__:
        return store.resolve(model, name)
    versions = store.versions(model)
    found = [v for v in versions if name == v] or [
        v for v in versions if v.startswith(name) or v.endswith(name)
    ]
    if len(found) > 1:
        raise NoSuchVersion(f"{name} may be any of {', '.join(found)}")
    return found[0] if found else store.resolve(model, name)


def _shown(root: Path) -> str:
    return str(root.absolute())
