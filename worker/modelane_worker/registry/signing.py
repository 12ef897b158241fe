"""Who may put a model into service.  A trainer signs a card → SIGNING → a worker believes it.

Ed25519.  Trainers hold the private key; workers hold public ones only, as many as there are
trainers or as a rotation needs, one PEM block after another in one file.  ``openssl pkey`` and
``openssl pkeyutl`` read all of it.
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
    """A trainer's private key; its ``repr`` does not show it."""

    _private: Ed25519PrivateKey

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a private key in PEM, not encrypted.

        Raises:
            SettingsError: there is none at ``path``, or it is another kind of key.
        """
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError as exc:
            raise SettingsError(
                f"no signing key at {path}: correct MODELANE_SIGNING_KEY, or make the key with "
                f"`openssl genpkey -algorithm ed25519 -out {path}`; with MODELANE_SIGNING_KEY "
                "unset, `modelane train` makes one of its own"
            ) from exc
        except OSError as exc:
            raise SettingsError(f"the signing key at {path} cannot be read: {exc}") from exc
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise SettingsError(
                f"{path} (MODELANE_SIGNING_KEY) is not an unencrypted private key in PEM: {exc}"
            ) from exc
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsError(f"{path} (MODELANE_SIGNING_KEY) is not an Ed25519 key")
        return cls(private)

    @classmethod
    def create(cls, path: Path, public_path: Path) -> SigningKey:
        """Make a key that its owner alone can read, and add its public half to ``public_path``.

        Raises:
            FileExistsError: there is a key at ``path`` already; it is left as it is.
            StoreError: one of the files cannot be written.
        """
        key = cls(Ed25519PrivateKey.generate())
        try:
            public_path.parent.mkdir(parents=True, exist_ok=True)
            with public_path.open("ab") as trusted:
                fcntl.flock(trusted, fcntl.LOCK_EX)  # of trainers that start together, one goes on
                if path.exists():
                    raise FileExistsError(path)
                # Trusted first: a crash in between leaves a public key that nobody owns, which is
                # harmless; the reverse would leave a key whose models every worker refuses.
                trusted.write(key.public_pem)
                trusted.flush()
                os.fsync(trusted.fileno())
                _write_once(path, key._private_pem)
            atomic_files.sync_folder(public_path.parent)
        except FileExistsError:
            raise
        except OSError as exc:
            raise StoreError(f"no signing key could be made at {path}: {exc}") from exc
        return key

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    @property
    def public_pem(self) -> bytes:
        """What a worker's trusted file needs."""
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
    """The public keys of one file, as they were when it was read."""

    path: Path
    _keys: tuple[Ed25519PublicKey, ...]

    @classmethod
    def load(cls, path: Path) -> TrustedKeys:
        """Read every public key in the file.

        Raises:
            UntrustedModel: there is no file, no key in it, or one that is not Ed25519.  A worker
                may start before its trainer's first key, so this is no ``SettingsError``.
        """
        try:
            blocks = _PUBLIC_BLOCK.findall(path.read_bytes())
        except OSError as exc:
            raise UntrustedModel(
                f"no trusted keys at {path} ({exc.strerror}): a trainer writes its public key "
                "there; on another host, copy that file and name it in MODELANE_TRUSTED_KEYS"
            ) from exc
        if not blocks:
            raise UntrustedModel(
                f"{path} (MODELANE_TRUSTED_KEYS) holds no public key: expected PEM blocks, "
                "-----BEGIN PUBLIC KEY-----"
            )
        return cls(path, tuple(_public_key(block, path) for block in blocks))

    def verify(self, data: bytes, signature: bytes) -> None:
        """Return if one of the keys signed ``data``.

        Raises:
            UntrustedModel: none did.
        """
        for key in self._keys:
            try:
                return key.verify(signature, data)
            except InvalidSignature:
                continue
        raise UntrustedModel(
            f"no key in {self.path} signed this: it was changed after signing, or its trainer is "
            "not trusted; train again, or add that trainer's public key to the file"
        )


def _public_key(block: bytes, path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise UntrustedModel(f"{path} holds a public key that cannot be read: {exc}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise UntrustedModel(f"{path} holds a public key that is not Ed25519; remove it")
    return key


def _write_once(path: Path, secret: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces.
        os.link(beside, path)
    finally:
        Path(beside).unlink()
    atomic_files.sync_folder(path.parent)
