"""The models that a worker may serve, of those in the store."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from modelane_worker.registry.store import Store
from modelane_worker.serving.live_model import LiveModel

logger = logging.getLogger(__name__)


class Models:
    """All models that this worker may serve.

    Args:
        store: where they are.
        trusted_keys: file of the public keys that may have signed them.
        only: names to serve; empty for all.
    """

    def __init__(self, store: Store, trusted_keys: Path, only: Collection[str] = ()) -> None:
        self.only = frozenset(only)
        self._store = store
        self._trusted_keys = trusted_keys
        self._live: dict[str, LiveModel] = {}
        self._logged_absent: set[str] = set()

    def get(self, model: str) -> LiveModel:
        if model not in self._live:
            self._live[model] = LiveModel(model, self._store, self._trusted_keys)
        return self._live[model]

    def wanted(self) -> list[str]:
        """Return the names in the store that this worker should serve.

        Raises:
            StoreError: the store cannot be read.
        """
        stored = self._store.models()
        if absent := self.only.difference(stored, self._logged_absent):
            self._logged_absent |= absent
            logger.warning(
                "models of --models that are not in the store yet: %s",
                ", ".join(sorted(absent)),
                extra={"event": "absent"},
            )
        return [name for name in stored if not self.only or name in self.only]

    def stored(self) -> list[str]:
        """Return all names in the store, also of models that other workers serve.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._store.models()

    def served(self) -> list[str]:
        """Return the names that :meth:`get` was called for: wanted, or added by an operator."""
        return list(self._live)
