"""Versions of models in a folder, published whole or not at all.  publish → STORE → live.

    <root>/<model>/<version>/card.json      what it is, with the sha256 of every other file
                             card.sig       Ed25519 signature over card.json, 64 bytes
                             model.joblib   … the files
    <root>/<model>/aliases.json             champion and previous; one file, so they move together
    <root>/<model>/.lock                    held while aliases move
    <root>/<model>/.<version>.*.partial/    being written, or left by a crash; nobody reads it
    <root>/<model>/.<version>.*.gone/       being removed

Whoever can write here can move an alias to any version that a trusted trainer signed, an old one
included, but cannot bring in a model of his own.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from modelane import atomic_files
from modelane.errors import BadInput, NoSuchVersion, StoreError, UntrustedModel
from modelane.keys import check_model_name
from modelane_worker.registry.card import MAX_CARD_BYTES, Card, check_version, decode, is_version
from modelane_worker.registry.signing import SigningKey, TrustedKeys
from modelane_worker.registry.verification import (
    CARD_FILE,
    SIGNATURE_FILE,
    Verified,
    checked_file_name,
    digest,
    read_verified,
)

ALIASES_FILE = "aliases.json"


class Aliases(msgspec.Struct, frozen=True, kw_only=True):
    """The names that versions have at one moment."""

    champion: str | None = None  #: answers requests
    previous: str | None = None  #: was champion before; what a rollback returns to


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(f"the model store: {exc}") from exc


class Store:
    """The folder ``root``, which appears with the first version; processes may share it.

    Every method raises ``BadInput`` for a name that no model can have, and ``StoreError`` when the
    disk refuses.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @_disk_errors()
    def models(self) -> list[str]:
        """Those with at least one version; a folder that cannot be read hides its own model only."""
        return [name for name in _folders(self.root) if _is_model(name) and self._has_versions(name)]

    @_disk_errors()
    def versions(self, model: str) -> list[str]:
        """Whole versions, oldest first; anything else that lies in the folder is passed over."""
        home = self.home(model)
        return [name for name in _folders(home) if is_version(name) and _is_whole(home / name)]

    @_disk_errors()
    def aliases(self, model: str) -> Aliases:
        try:
            raw = atomic_files.read_regular(self.home(model) / ALIASES_FILE, max_bytes=4096)
            return msgspec.json.decode(raw, type=Aliases)
        except FileNotFoundError:
            return Aliases()
        except msgspec.MsgspecError as exc:
            raise StoreError(
                f"{ALIASES_FILE} of {model} is damaged ({exc}): remove it and promote a version"
            ) from exc

    def champion(self, model: str) -> str | None:
        """The version that answers; None before the first promotion."""
        return self.aliases(model).champion

    def resolve(self, model: str, name: str = "champion") -> str:
        """The version that ``name``, an alias or a version, stands for.

        Raises:
            NoSuchVersion: none.
        """
        version = name
        if name in Aliases.__struct_fields__:
            version = getattr(self.aliases(model), name)
            if version is None:
                raise NoSuchVersion(f"model {model} has no {name}; promote a version first")
        self._existing(model, version)
        return version

    @_disk_errors()
    def publish(self, card: Card, files: Mapping[str, bytes], key: SigningKey) -> str:
        """Add a version; it is in nobody's service until it is promoted.

        Args:
            card: its ``files`` are filled in here.
            files: name → content; names are plain, without folders.

        Returns:
            The version.

        Raises:
            StoreError: the version exists.
        """
        home, version = self.home(card.model), check_version(card.version)
        files = {checked_file_name(name): content for name, content in files.items()}
        digests = {name: digest(content) for name, content in files.items()}
        raw = msgspec.structs.replace(card, files=digests).encode()
        # A name of its own: one who was lost or stalled while he wrote the same version is not in the way.
        partial, final = home / f".{version}.{secrets.token_hex(4)}.partial", home / version
        partial.mkdir(parents=True)
        try:
            if final.exists():
                raise StoreError(f"{card.model} {version} exists; versions never change")
            for name, content in {**files, CARD_FILE: raw, SIGNATURE_FILE: key.sign(raw)}.items():
                atomic_files.write_new(partial / name, content)
            atomic_files.sync_folder(partial)
            partial.rename(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        atomic_files.sync_folder(home)
        atomic_files.sync_folder(self.root)
        return version

    def promote(self, model: str, version: str) -> Aliases:
        """Make ``version`` champion, and the champion so far ``previous``; both in one step.

        Raises:
            NoSuchVersion: no whole version of that name.
        """
        self._existing(model, version)
        with self.moving_aliases(model):
            self._existing(model, version)  # nobody has removed it before we held the lock
            before = self.aliases(model)
            if version == before.champion:
                return before
            return self._move(model, Aliases(champion=version, previous=before.champion))

    def promote_over(self, model: str, version: str, champion: str | None) -> Aliases:
        """:meth:`promote`, unless it was held against another champion than answers now.

        Nor one that is ``previous``: it was rolled back, and whoever did so had a reason.
        """
        self._existing(model, version)
        with self.moving_aliases(model):
            before = self.aliases(model)
            if version == before.champion or champion != before.champion or version == before.previous:
                return before
            return self._move(model, Aliases(champion=version, previous=before.champion))

    def rollback(self, model: str) -> Aliases:
        """Exchange champion and previous.

        Raises:
            NoSuchVersion: there is no previous one, or its files are gone.
        """
        with self.moving_aliases(model):
            before = self.aliases(model)
            if before.previous is None:
                raise NoSuchVersion(f"model {model} has no previous version to return to")
            self._existing(model, before.previous)
            return self._move(model, Aliases(champion=before.previous, previous=before.champion))

    @_disk_errors()
    def read(self, model: str, version: str, trusted: TrustedKeys) -> Verified:
        """Read a version into memory, believing nothing that is not covered by its signature.

        Raises:
            NoSuchVersion: no whole version of that name.
            UntrustedModel: signature, model, version, size or digest is wrong; nothing came of it.
            IncompatibleModel: the card is signed, but not in a form that this Modelane reads.
        """
        folder = self._existing(model, version)
        try:
            return read_verified(folder, model, version, trusted)
        except UntrustedModel as exc:
            raise UntrustedModel(f"{model} {version}: {exc}") from exc

    @_disk_errors()
    def card(self, model: str, version: str) -> Card:
        """What a version says of itself, its signature not looked at: to be shown, not to be believed.

        Raises:
            NoSuchVersion: no whole version of that name.
            IncompatibleModel: not in a form that this Modelane reads.
        """
        folder = self._existing(model, version)
        return decode(atomic_files.read_regular(folder / CARD_FILE, max_bytes=MAX_CARD_BYTES))

    def home(self, model: str) -> Path:
        """The model's folder, whether there is one or not.

        Raises:
            StoreError: a link stands in its place.
        """
        home = self.root / check_model_name(model)
        if home.is_symlink():
            raise StoreError(f"{home} is a link; the store holds plain files and folders only")
        return home

    @_disk_errors()
    def _has_versions(self, model: str) -> bool:
        try:
            return bool(self.versions(model))
        except StoreError:
            return False

    def _existing(self, model: str, version: str) -> Path:
        home = self.home(model)
        if is_version(version) and _is_whole(home / version):
            return home / version
        newest = self.versions(model)[-1:] or ["none at all"]
        raise NoSuchVersion(f"model {model} has no version {version!r:.80}; the newest it has is {newest[0]}")

    @contextmanager
    def moving_aliases(self, model: str) -> Iterator[None]:
        """Nobody else moves an alias of the model, or removes a version of it, meanwhile."""
        home = self.home(model)
        if not home.is_dir():
            raise NoSuchVersion(f"no model {model} in {self.root}")
        with _disk_errors():
            lock = os.open(home / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    def _move(self, model: str, aliases: Aliases) -> Aliases:
        atomic_files.replace(self.home(model) / ALIASES_FILE, msgspec.json.encode(aliases) + b"\n")
        return aliases


def _folders(folder: Path) -> list[str]:
    """Names of the real folders in ``folder``, sorted; none if it is absent."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_model(name: str) -> bool:
    try:
        return check_model_name(name) == name
    except BadInput:
        return False


def _is_whole(folder: Path) -> bool:
    return not folder.is_symlink() and all((folder / name).is_file() for name in (CARD_FILE, SIGNATURE_FILE))
