"""The key that this trainer signs with.  settings → SIGNER → retrain."""

from __future__ import annotations

from modelane.settings import Settings
from modelane_worker.registry.signing import SigningKey


def trainers_key(settings: Settings) -> SigningKey:
    """The configured key; at the default place one is made, and trusted, on first use.

    Raises:
        SettingsError: ``MODELANE_SIGNING_KEY`` names a key that is not there or is not one.
        StoreError: the first key cannot be written.
    """
    path = settings.signing_key_path
    if not settings.signing_key and not path.exists():
        try:
            return SigningKey.create(path, settings.trusted_keys_path)
        except FileExistsError:
            pass  # another trainer was faster: its key is everybody's
    return SigningKey.load(path)
