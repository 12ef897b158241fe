"""Versions of one model that requests name, beside its champion: loaded on demand, a few kept in memory.

Loading takes seconds. The lane defers such a request until its version is loaded, and serves others until
then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from modelane.errors import ModelaneError, NoSuchVersion, TryLater, UnknownModel
from modelane_worker.inference.engine import Engine
from modelane_worker.registry.card import Card
from modelane_worker.registry.version_id import is_version, not_a_version

logger = logging.getLogger(__name__)

#: Engines kept; the least recently used is dropped first. Each may take as much memory as the champion.
MAX_KEPT = 2
#: Refusals remembered, so that requests for ever new names cannot fill the memory.
MAX_REFUSED = 100
#: Seconds before a refused version is tried again: it may have been published, or its key added.
RETRY_REFUSED_S = 30.0
#: Seconds after which a request for a version that is being loaded is looked at again.
LOOK_AGAIN_S = 0.2


class VersionCache:
    """Loaded versions of one model. Thread-safe.

    Args:
        model: its name.
        load: verifies and loads a version; raises ModelaneError with the reason if it cannot.
        clock: seconds.
    """

    def __init__(
        self, model: str, load: Callable[[str], Engine], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Engine] = OrderedDict()
        self._loading: dict[str, Future[Engine]] = {}
        self._refused: OrderedDict[str, tuple[ModelaneError, float]] = OrderedDict()

    @property
    def cards(self) -> list[Card]:
        """Cards of the versions that are kept."""
        with self._lock:
            return [engine.card for engine in self._kept.values()]

    def load_delay_s(self, version: str) -> float:
        """Return the seconds after which to look again; 0 if the version is loaded or refused.

        Starts to load it if necessary.
        """
        return LOOK_AGAIN_S if isinstance(self._find(version), Future) else 0.0

    def engine(self, version: str) -> Engine:
        """Return the engine of a version without waiting.

        Raises:
            UnknownModel: there is no such version.
            TryLater: it is being loaded.
            ModelaneError: it cannot be loaded.
        """
        found = self._find(version)
        if isinstance(found, Future):
            raise TryLater(f"{self._model} {version} is being loaded: try again in a few seconds")
        if isinstance(found, ModelaneError):
            raise found
        return found

    def wait_for(self, version: str) -> Engine:
        """Return the engine of a version as soon as it is loaded.

        Raises:
            UnknownModel: there is no such version.
            ModelaneError: it cannot be loaded.
        """
        found = self._find(version)
        if isinstance(found, Future):
            return found.result()
        if isinstance(found, ModelaneError):
            raise found
        return found

    def _find(self, version: str) -> Engine | ModelaneError | Future[Engine]:
        if not is_version(version):
            return UnknownModel(not_a_version(self._model, version))
        with self._lock:
            if (engine := self._kept.get(version)) is not None:
                self._kept.move_to_end(version)
                return engine
            if (loading := self._loading.get(version)) is not None:
                return loading
            error, until_s = self._refused.get(version, (None, 0.0))
            if error is not None and self._clock() < until_s:
                return type(error)(*error.args)  # a copy: a raised error keeps its traceback and its frames
            return self._start_loading(version)

    def _start_loading(self, version: str) -> Future[Engine]:
        loading: Future[Engine] = Future()
        self._loading[version] = loading
        name = f"load-{self._model}-{version}"
        threading.Thread(target=self._run, args=(version, loading), name=name, daemon=True).start()
        return loading

    def _run(self, version: str, loading: Future[Engine]) -> None:
        try:
            engine = self._load(version)
        except Exception as exc:  # anything that its code may raise: callers must not wait forever
            error = _as_ours(exc, self._model, version)
            logger.warning(
                "%s: version %s was requested by name and is refused: %s",
                self._model,
                version,
                error,
                extra={"event": "version_refused", "version": version},
            )
            with self._lock:
                self._refused[version] = error, self._clock() + RETRY_REFUSED_S
                while len(self._refused) > MAX_REFUSED:
                    self._refused.popitem(last=False)
                del self._loading[version]
            loading.set_exception(error)
        else:
            logger.info(
                "%s %s is loaded: a request names this version",
                self._model,
                version,
                extra={"event": "version_loaded"},
            )
            with self._lock:
                self._kept[version] = engine
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
                del self._loading[version]
            loading.set_result(engine)


def _as_ours(exc: Exception, model: str, version: str) -> ModelaneError:
    if isinstance(exc, NoSuchVersion):
        return UnknownModel(str(exc))
    if isinstance(exc, ModelaneError):
        return exc
    return UnknownModel(f"{model} {version} cannot be loaded: {type(exc).__name__}")
