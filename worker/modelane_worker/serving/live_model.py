"""The versions that answer: load the champion beside the version in service, and swap between two batches."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelane.errors import IncompatibleModel, ModelaneError, UnknownModel
from modelane_worker.inference.engine import Engine
from modelane_worker.registry import artifact
from modelane_worker.registry.card import Card
from modelane_worker.registry.signing import TrustedKeys
from modelane_worker.registry.store import Store
from modelane_worker.serving.version_cache import VersionCache

logger = logging.getLogger(__name__)

#: Seconds before a refused version is tried again: its key may have been added, its disk may be back.
RETRY_REFUSED_S = 30.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    version: str | None  # None: the alias itself cannot be read
    reason: str
    retry_at_s: float


class LiveModel:
    """One model: its version in service, and other versions that requests name.

    A version that cannot be verified, loaded or warmed up is refused and logged; the version before it stays
    in service.

    Args:
        model: its name.
        store: where its versions are.
        trusted_keys: file of the public keys that may have signed them.
        clock: seconds.
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
        self._champion: Engine | None = None
        self._refused: _Refusal | None = None
        self.others = VersionCache(model, self._load, clock)  #: versions that requests name

    @property
    def version(self) -> str | None:
        """The version in service; None before the first one is loaded."""
        return self._champion.card.version if self._champion else None

    @property
    def cards(self) -> list[Card]:
        """Cards of all versions in memory, the one in service first."""
        return ([self._champion.card] if self._champion else []) + self.others.cards

    def engine(self, version: str | None = None) -> Engine:
        """Return the engine of a version, of the one in service for None.

        Raises:
            UnknownModel: there is no such version, or none is in service yet.
            TryLater: the version is being loaded.
            ModelaneError: the version cannot be loaded.
        """
        if version is not None and version != self.version:
            return self.others.engine(version)
        if self._champion is None:
            raise UnknownModel(
                f"no version of {self.model} is in service yet: promote one, or see the worker's log for the "
                "reason why it was refused"
            )
        return self._champion

    def wait_for(self, version: str | None = None) -> Engine:
        """Return the same as :meth:`engine`, once the version is loaded."""
        is_other = version is not None and version != self.version
        return self.others.wait_for(str(version)) if is_other else self.engine()

    def load_delay_s(self, version: str) -> float:
        """Return the seconds until a request for a version should be looked at again; 0 if now is fine.

        Starts to load the version if necessary.
        """
        return 0.0 if version == self.version else self.others.load_delay_s(version)

    def refresh(self) -> bool:
        """Load the champion if another version is in service; return whether any version is."""
        champion: str | None = None
        try:
            champion = self._store.champion(self.model)
            if champion is not None and champion != self.version and self._is_due(champion):
                self._champion = self._load(champion)
                self._refused = None
                logger.info(
                    "%s %s is in service",
                    self.model,
                    champion,
                    extra={"event": "version_live", "model": self.model, "version": champion},
                )
        except ModelaneError as error:
            self._refuse(champion, error)
        return self._champion is not None

    def _refuse(self, champion: str | None, error: ModelaneError) -> None:
        """Remember the refusal, and log it if it is another one than before."""
        before, self._refused = self._refused, _Refusal(champion, str(error), self._clock() + RETRY_REFUSED_S)
        if before is None or (before.version, before.reason) != (champion, self._refused.reason):
            logger.error(
                "%s: a version is refused, %s: %s",
                self.model,
                f"{self.version} stays in service" if self.version else "no version is in service",
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
        # The keys are read each time: a key rotation needs no restart.
        verified = self._store.read(self.model, version, TrustedKeys.load(self._trusted_keys))
        engine = Engine(verified.card, artifact.load(verified))
        try:
            with np.errstate(all="ignore"):  # numpy's warnings about the example row concern nobody
                engine.warm_up()
        except Exception as exc:  # anything that its card or its code may cause
            raise IncompatibleModel(
                f"{self.model} {version} fails to predict its own example row: {exc}; train it with the "
                "library versions of this worker"
            ) from exc
        _exempt_from_collection()
        return engine


def _exempt_from_collection() -> None:
    """Exempt everything that is loaded now from garbage collection.

    To scan all of scikit-learn repeatedly, while requests come and go, cost a saturated worker 0.1 s each
    time, and a quarter of its time in all.
    """
    gc.collect()
    gc.freeze()
