"""The Ed25519 keys with which trainers sign model cards and workers verify them.

A trainer has a private key. Workers have only public keys, in one file with one PEM block after another: as
many as there are trainers, or as a key rotation needs. ``openssl pkey`` and ``openssl pkeyutl`` read both
files.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from modelane import atomic_files
from modelane.errors import SettingsError, StoreError, UntrustedModel

_PUBLIC_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A trainer's private key. Its ``repr`` does not show the key."""

    _private: Ed25519PrivateKey

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read an unencrypted private key in PEM.

        Raises:
            SettingsError: There is no file at ``path``, or it does not hold such a key.
        """
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError as exc:
            raise SettingsError(
                f"no signing key at {path}: correct MODELANE_SIGNING_KEY, or create the key with "
                f"`openssl genpkey -algorithm ed25519 -out {path}`; if MODELANE_SIGNING_KEY is not set, "
                "`modelane train` creates a key itself"
            ) from exc
        except OSError as exc:
            raise SettingsError(
                f"the signing key at {path} (MODELANE_SIGNING_KEY) cannot be read: {exc}"
            ) from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise SettingsError(
                f"{path} (MODELANE_SIGNING_KEY) is not an unencrypted private key in PEM format: {exc}"
            ) from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsError(
                f"{path} (MODELANE_SIGNING_KEY) is not an Ed25519 key: create one with "
                "`openssl genpkey -algorithm ed25519`"
            )
        return cls(private)

    @classmethod
    def create(cls, path: Path, public_path: Path) -> SigningKey:
        """Create a key that only its owner can read, and add its public key to ``public_path``.

        Raises:
            FileExistsError: There already is a key at ``path``; it was not changed.
            StoreError: One of the files cannot be written.
        """
        key = cls(Ed25519PrivateKey.generate())
        try:
            public_path.parent.mkdir(parents=True, exist_ok=True)
            with public_path.open("ab") as trusted:
                fcntl.flock(trusted, fcntl.LOCK_EX)  # of trainers that start together, one creates the key
                if path.exists():
                    raise FileExistsError(path)
                # The public key first: a crash in between leaves a public key that nobody uses, which is
                # harmless. The other order could leave a key whose models every worker refuses.
                trusted.write(key.public_pem)
                trusted.flush()
                os.fsync(trusted.fileno())
                _write_once(path, key._private_pem)
            atomic_files.sync_folder(public_path.parent)
        except FileExistsError:
            raise
        except OSError as exc:
            raise StoreError(f"the signing key at {path} cannot be created: {exc}") from exc
        return key

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM, for the workers' file of trusted keys."""
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def _private_pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The public keys in one file, as they were when it was read."""

    path: Path
    _keys: tuple[Ed25519PublicKey, ...]

    @classmethod
    def load(cls, path: Path) -> TrustedKeys:
        """Read every public key in the file.

        Raises:
            UntrustedModel: There is no file, it has no key, or one of its keys is not Ed25519. It is not a
                ``SettingsError``, because a worker may start before its trainer creates the first key.
        """
        try:
            blocks = _PUBLIC_BLOCK.findall(path.read_bytes())
        except OSError as exc:
            raise UntrustedModel(
                f"the trusted keys at {path} cannot be read ({exc.strerror}): a trainer on this host writes "
                "its public key there; if the trainer runs on another host, copy its file to this one and "
                "set MODELANE_TRUSTED_KEYS"
            ) from exc
        if not blocks:
            raise UntrustedModel(
                f"{path} (MODELANE_TRUSTED_KEYS) has no public key: expected PEM blocks that begin with "
                "-----BEGIN PUBLIC KEY-----"
            )
        return cls(path, tuple(_public_key(block, path) for block in blocks))

    def verify(self, data: bytes, signature: bytes) -> None:
        """Check that one of the keys signed ``data``.

        Raises:
            UntrustedModel: None of them did.
        """
        for key in self._keys:
            try:
                return key.verify(signature, data)
            except InvalidSignature:
                continue
        raise UntrustedModel(
            f"its signature matches no key in {self.path}: the card was changed after it was signed, or its "
            "trainer is not trusted; train the model again, or add the trainer's public key to that file"
        )


def _public_key(block: bytes, path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise UntrustedModel(
            f"{path} (MODELANE_TRUSTED_KEYS) has a public key that cannot be read: {exc}"
        ) from exc
    if not isinstance(key, Ed25519PublicKey):
        raise UntrustedModel(
            f"{path} (MODELANE_TRUSTED_KEYS) has a public key that is not Ed25519: remove it"
        )
    return key


def _write_once(path: Path, secret: bytes) -> None:
    """Write a file that only its owner can read.

    Raises:
        FileExistsError: The file exists; it was not changed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, it fails if the file exists
    finally:
        Path(temporary).unlink()
    atomic_files.sync_folder(path.parent)
