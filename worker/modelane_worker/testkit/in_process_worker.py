"""A lane without Redis, for :mod:`modelane.testing`: it answers with the steps of a real worker.

Called by :mod:`modelane.testing.fake_lanes`; needs nothing beyond the base install.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from modelane.broker.lease import Lease, Settlement
from modelane.errors import BadInput, ModelaneError, UnknownModel
from modelane.protocol.predict_request import Request
from modelane.settings import Settings
from modelane_worker.inference.engine import Engine
from modelane_worker.lanes.admission import Admission, Refused
from modelane_worker.lanes.service import Call, Result
from modelane_worker.lanes.settlement import settlement_of
from modelane_worker.registry.card import METHODS
from modelane_worker.registry.version_id import new_version, not_a_version
from modelane_worker.serving.predict_service import PredictService
from modelane_worker.testkit import example_card


class _Published(NamedTuple):
    """A version; without example rows its engine is created for each request, from the request's columns."""

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
        """Have an estimator answer from the next batch on, under a new version, which is returned."""
        if not any(hasattr(estimator, method) for method in METHODS):
            if not callable(estimator):
                raise BadInput(
                    f"{self._model}: {type(estimator).__name__} is neither an estimator nor callable: pass "
                    "an object with predict, or a function of rows"
                )
            estimator = _Callable(estimator)
        version = new_version(datetime.now(UTC), os.urandom(4))
        engine = None
        if example_rows is not None:
            table = example_card.table_of(example_rows, estimator)
            engine = self._new_engine(estimator, version, table)
        self._versions[version] = _Published(estimator, engine)
        self._champion = version
        return version

    def answer(
        self,
        messages: Sequence[bytes],
        *,
        is_revoked: Callable[[str], bool],
        forced_error: Callable[[str], ModelaneError | None],
    ) -> list[Settlement]:
        """See :class:`modelane.testing.fake_lanes.Worker`."""
        admission = Admission(
            self._service(None),
            self._settings,
            is_revoked=lambda headers: is_revoked(headers.id),
            is_handoff=lambda *_: False,
        )
        calls: list[Call[Request]] = []
        ended: list[tuple[Call[Request] | Refused, Result]] = []
        for message in messages:
            admitted = admission.admit(Lease(b"", message), time.time(), time.perf_counter())
            if isinstance(admitted, Refused):
                ended.append((admitted, admitted.error))
            elif isinstance(admitted, Call):
                if (error := forced_error(admitted.envelope.headers.id)) is not None:
                    ended.append((admitted, error))
                else:
                    calls.append(admitted)
        ended += zip(calls, self._serve(calls), strict=True)
        now_s, ttl_s = time.time(), self._settings.result_ttl_s
        return [
            settlement_of(item.tag, item.envelope, result, now_s=now_s, ttl_s=ttl_s)
            for item, result in ended
            if item.envelope is not None
        ]

    def _serve(self, calls: Sequence[Call[Request]]) -> list[Result]:
        if all(published.engine for published in self._versions.values()):
            return self._service(None).serve(calls, _serve_no_others)
        return [self._serve_one(call) for call in calls]

    def _serve_one(self, call: Call[Request]) -> Result:
        """Serve a call whose own columns are those of the card, as no example rows were published."""
        try:
            (result,) = self._service(call.request).serve([call], _serve_no_others)
        except ModelaneError as error:
            return error
        return result

    def _service(self, request: Request | None) -> PredictService:
        return PredictService(
            self._model,
            engine=lambda version: self._engine(version or self._champion, request),
            load_delay_s=lambda _: 0.0,
            max_batch_rows=self._settings.max_batch_rows,
        )

    def _engine(self, version: str, request: Request | None) -> Engine:
        if (published := self._versions.get(version)) is None:
            raise UnknownModel(not_a_version(self._model, version))
        if published.engine or request is None:
            assert published.engine is not None
            return published.engine
        names = example_card.names_of(published.estimator)
        table = example_card.by_column(request.rows, request.columns, names)
        return self._new_engine(published.estimator, version, table)

    def _new_engine(self, estimator: Any, version: str, table: example_card.Columns) -> Engine:
        return Engine(example_card.card(self._model, estimator, table, version=version), estimator)


def _serve_no_others() -> None:
    """Serve nothing between two slices of a large request."""
