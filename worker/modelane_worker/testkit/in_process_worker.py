"""A lane without Redis: what :mod:`modelane.testing` answers with, by the worker's own steps.

message → intake → service → batch → engine → result.  Needs nothing beyond the base install.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from modelane.broker.leased_queue import Lease
from modelane.errors import BadInput, ModelaneError, UnknownModel
from modelane.protocol import result
from modelane.protocol.message import Envelope
from modelane.protocol.predict_request import Request, read_request
from modelane.settings import Settings
from modelane.testing.fake_lanes import Ended
from modelane_worker.inference.engine import Engine
from modelane_worker.lanes.admission import Call, Outcome, Refused, admit
from modelane_worker.registry.card import METHODS
from modelane_worker.registry.version_id import new_version, not_a_version
from modelane_worker.serving.predict_service import PredictService
from modelane_worker.testkit import example_card


class _Live:
    """What a service asks of a live model: see :class:`modelane_worker.serving.predict_service.Live`."""

    def __init__(self, model: str, version: str, others: _Others) -> None:
        self.model, self.version, self.others = model, version, others

    @property
    def engine(self) -> Engine:
        return self.others.engine(self.version)

    def put_off_s(self, version: str | None) -> float:
        return 0.0


class _Others:
    """All versions, the live one included, as they answer one request or batch."""

    def __init__(self, engine: Callable[[str], Engine]) -> None:
        self.engine = engine


class _Published(NamedTuple):
    """A version; its engine is made anew for each request as long as nobody has told what it takes."""

    estimator: Any
    engine: Engine | None


class _Callable:
    """A function as an estimator."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def predict(self, rows: Any) -> Any:
        return np.asarray(self._function(rows))


class InProcess:
    """One model: see :class:`modelane.testing.fake_lanes.Worker`."""

    def __init__(self, model: str, settings: Settings) -> None:
        self._model = model
        self._settings = settings
        self._versions: dict[str, _Published] = {}
        self._champion = ""

    def publish(self, estimator: Any, example_rows: Any) -> str:
        """The estimator answers from the next batch on, under a new version, which is returned."""
        if not any(hasattr(estimator, method) for method in METHODS):
            if not callable(estimator):
                raise BadInput(f"{self._model}: {type(estimator).__name__} is no estimator and no callable")
            estimator = _Callable(estimator)
        version = new_version(datetime.now(UTC), os.urandom(4))
        engine = None
        if example_rows is not None:
            engine = self._improvise(estimator, version, example_card.table_of(example_rows, estimator))
        self._versions[version] = _Published(estimator, engine)
        self._champion = version
        return version

    def answer(
        self,
        messages: Sequence[bytes],
        *,
        is_revoked: Callable[[str], bool],
        doomed: Callable[[str], ModelaneError | None],
    ) -> list[Ended]:
        """See :class:`modelane.testing.fake_lanes.Worker`."""
        calls: list[Call] = []
        ended: list[Ended] = []
        for message in messages:
            admitted = self._admit(message, is_revoked)
            if isinstance(admitted, Refused):
                ended += self._ended(admitted.envelope, admitted.error)
            elif isinstance(admitted, Call):
                if (error := doomed(admitted.envelope.headers.id)) is not None:
                    ended += self._ended(admitted.envelope, error)
                else:
                    calls.append(admitted)
        for call, outcome in zip(calls, self._outcomes(calls), strict=True):
            ended += self._ended(call.envelope, outcome)
        return ended

    def _admit(self, message: bytes, is_revoked: Callable[[str], bool]) -> object:
        return admit(
            Lease(b"", message),
            time.time(),
            is_revoked=lambda headers: is_revoked(headers.id),
            is_foreign=lambda *_: False,
            max_attempts=self._settings.max_attempts,
            max_bytes=self._settings.max_request_bytes,
            reserved_s=time.perf_counter(),
        )

    def _outcomes(self, calls: Sequence[Call]) -> list[Outcome]:
        if all(published.engine for published in self._versions.values()):
            return self._service(lambda version: self._engine(version, None)).answer(calls, _go_on)
        return [self._alone(call) for call in calls]

    def _alone(self, call: Call) -> Outcome:
        """Nobody has told what the model takes: the request's own columns are its card's."""
        try:
            request = read_request(call.envelope, call.body)
        except ModelaneError as error:
            return error
        service = self._service(lambda version: self._engine(version, request))
        try:
            (outcome,) = service.answer([call], _go_on)
        except ModelaneError as error:
            return error
        return outcome

    def _service(self, engine: Callable[[str], Engine]) -> PredictService:
        live = _Live(self._model, self._champion, _Others(engine))
        return PredictService(live, max_batch_rows=self._settings.max_batch_rows)

    def _engine(self, version: str, request: Request | None) -> Engine:
        if (published := self._versions.get(version)) is None:
            raise UnknownModel(not_a_version(self._model, version))
        if published.engine or request is None:
            assert published.engine is not None
            return published.engine
        names = example_card.names_of(published.estimator)
        table = example_card.by_column(request.rows, request.columns, names)
        return self._improvise(published.estimator, version, table)

    def _improvise(self, estimator: Any, version: str, table: example_card.Columns) -> Engine:
        return Engine(example_card.card(self._model, estimator, table, version=version), estimator)

    def _ended(self, envelope: Envelope | None, outcome: Outcome) -> list[Ended]:
        if envelope is None:
            return []
        now_s = time.time()
        if isinstance(outcome, ModelaneError):
            document = result.write_failure(envelope, outcome, now_s)
        else:
            document = result.write_result(envelope, outcome, now_s)
        ttl_s = 0 if envelope.headers.ignore_result else self._settings.result_ttl_s
        return [Ended(envelope.headers.id, document, ttl_s, envelope.reply_to)]


def _go_on() -> None:
    """Nothing else is served between two slices."""
