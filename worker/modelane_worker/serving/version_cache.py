"""Versions of one model that callers ask for by name, beside its champion: loaded on demand, a few at a time.

Loading takes seconds, and a lane serves others meanwhile: it puts such a request off until then.
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

#: Engines kept, the least recently asked for goes first.  Each may hold as much memory as the champion.
MAX_KEPT = 2
#: Refusals remembered: whoever asks for ever new names cannot fill the memory.
MAX_REFUSED = 100
#: Seconds before a refused version is tried again: it may have been published, or its key added.
RETRY_REFUSED_S = 30.0
#: Seconds after which a request for a version that is being loaded is looked at again.
LOOK_AGAIN_S = 0.2


class Versions:
    """Safe to share between threads.

    Args:
        model: whose versions.
        load: verifies and loads one; raises what :class:`ModelaneError` says why not.
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
        """Of those that are kept."""
        with self._lock:
            return [engine.card for engine in self._kept.values()]

    def put_off_s(self, version: str) -> float:
        """Seconds until it should be asked for again; 0: it is there, or refused.  Begins to load it."""
        return LOOK_AGAIN_S if isinstance(self._find(version), Future) else 0.0

    def engine(self, version: str) -> Engine:
        """Now, or not at all.

        Raises:
            UnknownModel: there is no such version.
            ModelaneError: it cannot be loaded, in words.
            TryLater: it is being loaded.
        """
        found = self._find(version)
        if isinstance(found, Future):
            raise TryLater(f"{self._model} {version} is being loaded")
        if isinstance(found, ModelaneError):
            raise found
        return found

    def wait(self, version: str) -> Engine:
        """The same, when it is loaded."""
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
                return type(error)(*error.args)  # a raised error keeps a traceback, and that its frames
            return self._begin(version)

    def _begin(self, version: str) -> Future[Engine]:
        loading: Future[Engine] = Future()
        self._loading[version] = loading
        name = f"load-{self._model}-{version}"
        threading.Thread(target=self._run, args=(version, loading), name=name, daemon=True).start()
        return loading

    def _run(self, version: str, loading: Future[Engine]) -> None:
        try:
            engine = self._load(version)
        except Exception as exc:  # whatever its code may raise, nobody must wait for ever
            error = _told(exc, self._model, version)
            logger.warning("%s", error, extra={"event": "version_refused", "version": version})
            with self._lock:
                self._refused[version] = error, self._clock() + RETRY_REFUSED_S
                while len(self._refused) > MAX_REFUSED:
                    self._refused.popitem(last=False)
                del self._loading[version]
            loading.set_exception(error)
        else:
            logger.info(
                "%s %s is loaded, as it was asked for",
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


def _told(exc: Exception, model: str, version: str) -> ModelaneError:
    if isinstance(exc, NoSuchVersion):
        return UnknownModel(str(exc))
    if isinstance(exc, ModelaneError):
        return exc
    return UnknownModel(f"{model} {version} cannot be loaded: {type(exc).__name__}")
