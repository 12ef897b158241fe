"""What a store throws away: old versions that nobody needs, and what a crash has left.  trainer → RETENTION.

Kept are the newest versions, those that an alias names, and those that a worker holds.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from modelane.errors import NoSuchVersion, StoreError
from modelane_worker.registry.store import Store

#: Seconds without a change after which what is being written counts as left behind.  No disk takes that long.
STALE_S = 3600.0

_LEFT = re.compile(r"\.(?P<version>[0-9]{8}T[0-9]{6}-[0-9a-f]{8})\.[0-9a-f]+\.(?P<kind>partial|gone)")


def prune(store: Store, model: str, *, keep: int, held: Collection[str]) -> list[str]:
    """Remove old versions; which.

    Args:
        keep: so many of the newest versions stay.
        held: versions that a worker holds.

    Raises:
        StoreError: the disk refuses; what is left is whole.
    """
    return [
        version
        for version in store.versions(model)[:-keep]
        if version not in held and remove(store, model, version)
    ]


def remove(store: Store, model: str, version: str) -> bool:
    """Remove a version, unless an alias names it; readers see it whole or not at all."""
    with suppress(NoSuchVersion), store.moving_aliases(model):
        aliases = store.aliases(model)
        if version in {getattr(aliases, name) for name in aliases.__struct_fields__}:
            return False
        store.resolve(model, version)
        folder = store.home(model) / version
        gone = folder.with_name(f".{version}.{secrets.token_hex(4)}.gone")
        try:
            folder.rename(gone)
        except OSError as exc:
            raise StoreError(f"{model} {version} cannot be removed: {exc}") from exc
        shutil.rmtree(gone, ignore_errors=True)  # what is left of it is swept later
        return True
    return False


def sweep(store: Store, model: str, *, now_s: float, of_run: str = "") -> list[str]:
    """Remove what was left behind by who is surely dead; names of it.

    Args:
        now_s: Unix time, as the store's files have it.
        of_run: a version, whose run the caller holds: nobody else writes it any more, however fresh it looks.
    """
    home, swept = store.home(model), []
    _, _, run = of_run.rpartition("-")
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        left = _LEFT.fullmatch(folder.name)
        if left is None or folder.is_symlink():
            continue
        is_dead = left["kind"] == "gone" or bool(run and left["version"].endswith(f"-{run}"))
        if is_dead or now_s - _changed_s(folder) > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder.name)
    return swept


def _changed_s(folder: Path) -> float:
    """When something in it was written last."""
    times = [0.0]
    for path in (folder, *folder.iterdir()):
        with suppress(OSError):
            times.append(path.lstat().st_mtime)
    return max(times)
