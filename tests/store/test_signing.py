"""Keys: created once, never overwritten, rotated by adding another to the trusted file."""

from __future__ import annotations

import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from modelane.errors import SettingsError, UntrustedModel
from modelane_worker.registry.signing import SigningKey, TrustedKeys

PEM, PRIVATE, PUBLIC = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.PublicFormat.SubjectPublicKeyInfo,
)


def test_signatures_of_a_key_are_verified_by_its_trusted_file(tmp_path):
    # Given a key in a folder that did not exist
    path, public = tmp_path / "a/signing.pem", tmp_path / "b/trusted.pem"
    signature = SigningKey.create(path, public).sign(b"a card")

    # Then its signatures are valid, also after the key has been read back
    trusted = TrustedKeys.load(public)
    trusted.verify(b"a card", signature)
    trusted.verify(b"another", SigningKey.load(path).sign(b"another"))


def test_only_its_owner_can_read_a_key_and_no_other_file_is_left(tmp_path):
    SigningKey.create(tmp_path / "keys/signing.pem", tmp_path / "trusted.pem")

    assert stat.S_IMODE((tmp_path / "keys/signing.pem").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["signing.pem"]


def test_a_key_is_never_overwritten(tmp_path):
    path, public = tmp_path / "signing.pem", tmp_path / "trusted.pem"
    SigningKey.create(path, public)
    before = path.read_bytes(), public.read_bytes()

    with pytest.raises(FileExistsError):
        SigningKey.create(path, public)

    assert (path.read_bytes(), public.read_bytes()) == before


def test_only_one_of_several_trainers_creates_the_first_key(tmp_path):
    path, public = tmp_path / "signing.pem", tmp_path / "trusted.pem"

    def create(_):
        try:
            return SigningKey.create(path, public)
        except FileExistsError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [key for key in pool.map(create, range(8)) if key]

    assert len(made) == 1
    assert public.read_bytes() == made[0].public_pem
    TrustedKeys.load(public).verify(b"card", SigningKey.load(path).sign(b"card"))


def test_a_trusted_key_can_be_added_and_removed(tmp_path):
    # Given the keys of two trainers in one file
    public = tmp_path / "trusted.pem"
    old = SigningKey.create(tmp_path / "old.pem", public)
    new = SigningKey.create(tmp_path / "new.pem", public)
    both = TrustedKeys.load(public)
    both.verify(b"card", old.sign(b"card"))
    both.verify(b"card", new.sign(b"card"))

    # When the old key is removed
    public.write_bytes(new.public_pem)

    # Then the new key is still trusted and the old one is not
    TrustedKeys.load(public).verify(b"card", new.sign(b"card"))
    with pytest.raises(UntrustedModel, match="train the model again, or add the trainer's public key"):
        TrustedKeys.load(public).verify(b"card", old.sign(b"card"))


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\0" * 63])
def test_an_invalid_signature_is_refused(tmp_path, signature):
    SigningKey.create(tmp_path / "signing.pem", tmp_path / "trusted.pem")

    with pytest.raises(UntrustedModel, match=r"matches no key in .*trusted\.pem"):
        TrustedKeys.load(tmp_path / "trusted.pem").verify(b"card", signature)


def test_the_error_for_a_missing_signing_key_names_the_setting_and_the_fix(tmp_path):
    with pytest.raises(SettingsError, match=r"MODELANE_SIGNING_KEY.*openssl genpkey"):
        SigningKey.load(tmp_path / "signing.pem")


def test_the_error_for_a_missing_trusted_file_names_the_setting(tmp_path):
    with pytest.raises(UntrustedModel, match="MODELANE_TRUSTED_KEYS"):
        TrustedKeys.load(tmp_path / "trusted.pem")


def test_the_error_for_a_trusted_file_without_a_key_says_what_is_expected(tmp_path):
    (tmp_path / "trusted.pem").write_text("ssh-ed25519 AAAA\n")

    with pytest.raises(UntrustedModel, match="BEGIN PUBLIC KEY"):
        TrustedKeys.load(tmp_path / "trusted.pem")


@pytest.mark.parametrize(
    "pem",
    [
        b"not a key",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PRIVATE, serialization.NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            PEM, PRIVATE, serialization.BestAvailableEncryption(b"secret")
        ),
    ],
    ids=["text", "another kind", "encrypted"],
)
def test_an_unusable_signing_key_is_refused_with_the_reason(tmp_path, pem):
    (tmp_path / "signing.pem").write_bytes(pem)

    with pytest.raises(SettingsError, match=r"signing\.pem \(MODELANE_SIGNING_KEY\) is not"):
        SigningKey.load(tmp_path / "signing.pem")


def test_a_public_key_of_another_kind_is_refused_with_the_reason(tmp_path):
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "trusted.pem").write_bytes(elliptic.public_bytes(PEM, PUBLIC))

    with pytest.raises(UntrustedModel, match="not Ed25519"):
        TrustedKeys.load(tmp_path / "trusted.pem")


def test_the_repr_of_a_key_does_not_show_it(tmp_path):
    key = SigningKey.create(tmp_path / "signing.pem", tmp_path / "trusted.pem")

    secret = (tmp_path / "signing.pem").read_text().splitlines()[1]
    assert secret not in repr(key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_command_in_the_error_creates_a_valid_key(tmp_path):
    path = tmp_path / "signing.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True)

    assert SigningKey.load(path).sign(b"card")
