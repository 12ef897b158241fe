"""The versions in service: follows the champion alias, loads beside, swaps between two batches."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelane.errors import IncompatibleModel, ModelaneError, UnknownModel
from modelane_worker.inference.engine import Engine
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store
from modelane_worker.serving.version_cache import Versions

logger = logging.getLogger(__name__)

#: Seconds before a refused version is tried again: its key may have been added, its disk may be back.
RETRY_REFUSED_S = 30.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    version: str | None  # None: the alias itself cannot be read
    reason: str
    retry_at_s: float


class LiveModel:
    """The version of one model that answers now.

    A version that cannot be verified, loaded or warmed up is refused in words; the one before it goes on
    answering.
    """

    def __init__(
        self,
        model: str,
        store: Store,
        trusted_keys: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._store = store
        self._trusted_keys = trusted_keys
        self._clock = clock
        self._engine: Engine | None = None
        self._refused: _Refusal | None = None
        self.others = Versions(model, self._load, clock)  #: asked for by name

    @property
    def engine(self) -> Engine:
        """Read it once a batch: the next read may be another version.

        Raises:
            UnknownModel: no version of it has been loaded yet.
        """
        if self._engine is None:
            raise UnknownModel(f"no version of {self.model} is in service")
        return self._engine

    @property
    def cards(self) -> list[Card]:
        """Of all versions that are held, the champion first."""
        return ([self._engine.card] if self._engine else []) + self.others.cards

    def put_off_s(self, version: str | None) -> float:
        """Seconds until a request for ``version`` can be answered or refused; 0: now."""
        return 0.0 if version in (None, self.version) else self.others.put_off_s(str(version))

    @property
    def version(self) -> str | None:
        return self._engine.card.version if self._engine else None

    def refresh(self) -> bool:
        """Load the champion if it is another version than ours; True if something is in service."""
        champion: str | None = None
        try:
            champion = self._store.champion(self.model)
            if champion is not None and champion != self.version and self._is_due(champion):
                self._engine = self._load(champion)
                self._refused = None
                logger.info(
                    "%s %s is in service",
                    self.model,
                    champion,
                    extra={"event": "version_live", "model": self.model, "version": champion},
                )
        except ModelaneError as error:
            self._refuse(champion, error)
        return self._engine is not None

    def _refuse(self, champion: str | None, error: ModelaneError) -> None:
        """Remember it, and say it when it is news."""
        known, self._refused = self._refused, _Refusal(champion, str(error), self._clock() + RETRY_REFUSED_S)
        if known is None or (known.version, known.reason) != (champion, self._refused.reason):
            logger.error(
                "%s: a version is refused, %s: %s",
                self.model,
                f"{self.version} goes on answering" if self.version else "none answers yet",
                error,
                extra={"event": "version_refused", "model": self.model, "version": champion},
            )

    def _is_due(self, version: str) -> bool:
        return (
            self._refused is None
            or self._refused.version != version
            or self._refused.retry_at_s <= self._clock()
        )

    def _load(self, version: str) -> Engine:
        # The keys are read anew each time: a rotation needs no restart.
        verified = self._store.read(self.model, version, TrustedKeys.load(self._trusted_keys))
        engine = Engine(verified.card, artifact.load(verified))
        try:
            with np.errstate(all="ignore"):  # the logarithm of a certain row's zero is no news
                engine.warm_up()
        except Exception as exc:  # whatever its card or its code may hold
            raise IncompatibleModel(f"{self.model} {version} does not answer its own example: {exc}") from exc
        _spare_from_collection()
        return engine


def _spare_from_collection() -> None:
    """Take what is loaded now out of the garbage collector's rounds.

    All of scikit-learn, looked through again while requests come and go, cost a saturated worker 0.1 s at a
    time, in all a quarter of its time.
    """
    gc.collect()
    gc.freeze()


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
        self._said_absent: set[str] = set()

    def get(self, model: str) -> LiveModel:
        if model not in self._live:
            self._live[model] = LiveModel(model, self._store, self._trusted_keys)
        return self._live[model]

    def wanted(self) -> list[str]:
        """Names in the store that this worker should serve.

        Raises:
            StoreError: the store cannot be read.
        """
        stored = self._store.models()
        if absent := self.only.difference(stored, self._said_absent):
            self._said_absent |= absent
            logger.warning("not in the store yet: %s", ", ".join(sorted(absent)), extra={"event": "absent"})
        return [name for name in stored if not self.only or name in self.only]

    def known(self) -> list[str]:
        """Names in the store, whoever serves them.

        Raises:
            StoreError: the store cannot be read.
        """
        return self._store.models()

    def served(self) -> list[str]:
        """Names that have been asked for, whether they are wanted or an operator added their lane."""
        return list(self._live)
