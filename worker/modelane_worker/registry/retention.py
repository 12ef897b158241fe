"""Remove old versions that nobody needs, and what a crash has left in the model store.

Kept are the newest versions, versions that an alias names, and versions that a worker holds in memory.
Trainers call this after each run.
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

#: A partial version that has not changed for so many seconds is abandoned: no disk takes that long for a
#: write.
STALE_S = 3600.0

_LEFTOVER = re.compile(r"\.(?P<version>[0-9]{8}T[0-9]{6}-[0-9a-f]{8})\.[0-9a-f]+\.(?P<kind>partial|gone)")


def prune(store: Store, model: str, *, keep: int, held: Collection[str]) -> list[str]:
    """Remove old versions of a model and return their ids.

    Args:
        store: The model store.
        model: The model's name.
        keep: How many of the newest versions stay.
        held: Versions that workers hold in memory.

    Raises:
        StoreError: The disk fails; all versions that remain are complete.
    """
    return [
        version
        for version in store.versions(model)[:-keep]
        if version not in held and remove(store, model, version)
    ]


def remove(store: Store, model: str, version: str) -> bool:
    """Remove a version unless an alias names it; return whether it was removed.

    It disappears in one step, so that readers see it completely or not at all.

    Raises:
        StoreError: The disk fails.
    """
    with suppress(NoSuchVersion), store.lock(model):
        aliases = store.aliases(model)
        if version in (aliases.champion, aliases.previous):
            return False
        store.resolve(model, version)
        folder = store.model_folder(model) / version
        gone = folder.with_name(f".{version}.{secrets.token_hex(4)}.gone")
        try:
            folder.rename(gone)
        except OSError as exc:
            raise StoreError(f"{model} {version} cannot be removed from the model store: {exc}") from exc
        shutil.rmtree(gone, ignore_errors=True)  # sweep() removes what remains of it
        return True
    return False


def sweep(store: Store, model: str, *, now_s: float, of_run: str = "") -> list[str]:
    """Remove partial and removed versions whose writer is certainly dead; return their folders' names.

    Args:
        store: The model store.
        model: The model's name.
        now_s: The current Unix time, by the clock that dates the store's files.
        of_run: A version id of a run that the caller has claimed: its partial versions are abandoned even if
            they are recent, because nobody else writes them.
    """
    home, swept = store.model_folder(model), []
    _, _, run = of_run.rpartition("-")
    for folder in sorted(home.iterdir()) if home.is_dir() else ():
        leftover = _LEFTOVER.fullmatch(folder.name)
        if leftover is None or folder.is_symlink():
            continue
        is_dead = leftover["kind"] == "gone" or bool(run and leftover["version"].endswith(f"-{run}"))
        if is_dead or now_s - _changed_s(folder) > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder.name)
    return swept


def _changed_s(folder: Path) -> float:
    """Return the Unix time of the last change to the folder or one of its files."""
    times = [0.0]
    for path in (folder, *folder.iterdir()):
        with suppress(OSError):
            times.append(path.lstat().st_mtime)
    return max(times)
