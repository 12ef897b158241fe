"""The model store: a folder of models and their versions, which trainers write and workers read.

    <root>/<model>/<version>/               a version: see version_folder
    <root>/<model>/aliases.json             champion and previous: see aliases
    <root>/<model>/.lock                    held while aliases change
    <root>/<model>/.<version>.*.partial/    a version that is being written, or that a crash left; never read
    <root>/<model>/.<version>.*.gone/       a version that is being removed

Anyone who can write to this folder can point an alias at any version that a trusted trainer signed, also at
an old one, but cannot make a worker load a model that no trusted trainer signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelane import atomic_files
from modelane.errors import BadInput, NoSuchVersion, StoreError, UntrustedModel
from modelane.keys import check_model_name
from modelane_worker.registry.aliases import ALIAS_NAMES, Aliases, folder_lock, read_aliases, write_aliases
from modelane_worker.registry.card import Card
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.version_folder import (
    Verified,
    is_complete,
    read_card,
    read_verified,
    write_version,
)
from modelane_worker.registry.version_id import check_version, is_version


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(f"the model store cannot be read or written: {exc}") from exc


class Store:
    """The models in a folder. Threads and processes may share it.

    Every method raises ``BadInput`` for a name that no model can have, and ``StoreError`` if the disk fails.

    Args:
        root: The folder; it is created when the first version is published.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @_disk_errors()
    def models(self) -> list[str]:
        """Return the models with at least one version; models whose folder cannot be read are left out."""
        return [name for name in _folders(self.root) if _is_model(name) and self._has_versions(name)]

    @_disk_errors()
    def versions(self, model: str) -> list[str]:
        """Return the ids of a model's complete versions, oldest first; other files are ignored."""
        folder = self.model_folder(model)
        return [name for name in _folders(folder) if is_version(name) and is_complete(folder / name)]

    @_disk_errors()
    def aliases(self, model: str) -> Aliases:
        return read_aliases(self.model_folder(model))

    def champion(self, model: str) -> str | None:
        """Return the version that answers requests; None before the first promotion."""
        return self.aliases(model).champion

    def resolve(self, model: str, name: str = "champion") -> str:
        """Return the id of the version that ``name``, an alias or a version id, stands for.

        Raises:
            NoSuchVersion: There is no such version.
        """
        version = name
        if name in ALIAS_NAMES:
            version = getattr(self.aliases(model), name)
            if version is None:
                raise NoSuchVersion(f"model {model} has no {name} version yet: promote one first")
        self._existing(model, version)
        return version

    @_disk_errors()
    def publish(self, card: Card, files: Mapping[str, bytes], key: SigningKey) -> str:
        """Add a version. It does not answer requests before it is promoted.

        Args:
            card: The digests of the files are added to it.
            files: File name to content; the names are plain, without folders.
            key: Signs the card.

        Returns:
            The version's id.

        Raises:
            StoreError: The version exists.
        """
        write_version(self.model_folder(card.model) / check_version(card.version), card, files, key)
        atomic_files.sync_folder(self.root)
        return card.version

    def promote(self, model: str, version: str) -> Aliases:
        """Make ``version`` the champion, and the champion the previous version, in one step.

        Raises:
            NoSuchVersion: There is no complete version with this id.
        """
        self._existing(model, version)
        with self.lock(model):
            self._existing(model, version)  # it may have been removed before this process had the lock
            before = self.aliases(model)
            if version == before.champion:
                return before
            return self._write(model, before.promoted(version))

    def promote_over(self, model: str, version: str, champion: str | None) -> Aliases:
        """Promote ``version`` if ``champion`` is still the champion that it was compared with.

        A version that is the previous one is not promoted either: someone rolled it back for a reason.

        Returns:
            The aliases, whether they changed or not.

        Raises:
            NoSuchVersion: There is no complete version with this id.
        """
        self._existing(model, version)
        with self.lock(model):
            before = self.aliases(model)
            if champion != before.champion or version in (before.champion, before.previous):
                return before
            return self._write(model, before.promoted(version))

    def rollback(self, model: str) -> Aliases:
        """Exchange the champion and the previous version.

        Raises:
            NoSuchVersion: There is no previous version, or its files are gone.
        """
        with self.lock(model):
            before = self.aliases(model)
            if before.previous is None:
                raise NoSuchVersion(f"model {model} has no previous version to roll back to")
            self._existing(model, before.previous)
            return self._write(model, before.promoted(before.previous))

    @_disk_errors()
    def read(self, model: str, version: str, trusted: TrustedKeys) -> Verified:
        """Read a version into memory and check everything against its signature.

        Raises:
            NoSuchVersion: There is no complete version with this id.
            UntrustedModel: The signature, model, version, or the size or digest of a file is wrong.
            IncompatibleModel: The signature is right, but this release of Modelane cannot read the card.
        """
        folder = self._existing(model, version)
        try:
            return read_verified(folder, model, version, trusted)
        except UntrustedModel as exc:
            raise UntrustedModel(f"{model} {version} cannot be trusted: {exc}") from exc

    @_disk_errors()
    def card(self, model: str, version: str) -> Card:
        """Read a version's card without checking its signature: to show it, not to rely on it.

        Raises:
            NoSuchVersion: There is no complete version with this id.
            IncompatibleModel: This release of Modelane cannot read the card.
        """
        return read_card(self._existing(model, version))

    def model_folder(self, model: str) -> Path:
        """Return the path of a model's folder, which may not exist.

        Raises:
            StoreError: The path is a symbolic link.
        """
        folder = self.root / check_model_name(model)
        if folder.is_symlink():
            raise StoreError(f"{folder} is a link: the model store may hold plain files and folders only")
        return folder

    @contextmanager
    def lock(self, model: str) -> Iterator[None]:
        """Prevent others from changing the model's aliases and from removing its versions.

        Raises:
            NoSuchVersion: The store does not have the model.
        """
        folder = self.model_folder(model)
        if not folder.is_dir():
            raise NoSuchVersion(f"the model store {self.root} has no model {model}")
        with _disk_errors(), folder_lock(folder):
            yield

    @_disk_errors()
    def _has_versions(self, model: str) -> bool:
        try:
            return bool(self.versions(model))
        except StoreError:
            return False

    def _existing(self, model: str, version: str) -> Path:
        folder = self.model_folder(model)
        if is_version(version) and is_complete(folder / version):
            return folder / version
        versions = self.versions(model)
        hint = f"its newest version is {versions[-1]}" if versions else "it has no versions at all"
        raise NoSuchVersion(f"model {model} has no version {version!r:.80}: {hint}")

    def _write(self, model: str, aliases: Aliases) -> Aliases:
        write_aliases(self.model_folder(model), aliases)
        return aliases


def _folders(folder: Path) -> list[str]:
    """Return the sorted names of the real folders in ``folder``; none if it does not exist."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_model(name: str) -> bool:
    try:
        return check_model_name(name) == name
    except BadInput:
        return False
