"""Answer the requests of a prediction lane: parse each one once, then predict with one version per request.

Called by :mod:`modelane_worker.lanes.lane`; uses :mod:`modelane_worker.inference.batching`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelane.errors import BadInput, ModelaneError
from modelane.protocol.message import Body, Envelope
from modelane.protocol.predict_request import Request, read_request
from modelane_worker.inference import batching
from modelane_worker.inference.engine import Engine
from modelane_worker.lanes.service import Call, Deferred, Result


class PredictService:
    """Answers ``modelane.predict`` for one model; see :class:`modelane_worker.lanes.service.Service`.

    Args:
        model: its name; a request for another model is refused.
        engine: returns the engine of a version, of the champion for None; raises ModelaneError.
        load_delay_s: seconds until a version can be used that is not loaded yet; 0 if it can be used now.
        max_batch_rows: most rows in one predict.
    """

    def __init__(
        self,
        model: str,
        *,
        engine: Callable[[str | None], Engine],
        load_delay_s: Callable[[str], float],
        max_batch_rows: int,
    ) -> None:
        self._model = model
        self._engine = engine
        self._load_delay_s = load_delay_s
        self._max_batch_rows = max_batch_rows

    def admit(self, tag: bytes, envelope: Envelope, body: Body) -> Request | Deferred:
        request = read_request(envelope, body)
        if request.model != self._model:
            raise BadInput(
                f"a request for model {request.model!r:.80} came to the queue of {self._model}: "
                "send it to the queue of its own model"
            )
        if request.version is not None and (delay_s := self._load_delay_s(request.version)):
            return Deferred(tag, delay_s)
        return request

    def serve(self, calls: Sequence[Call[Request]], serve_others: Callable[[], None]) -> list[Result]:
        champion = self._engine(None)  # read once: the next batch may be answered by another version
        results: list[Result | None] = [None] * len(calls)
        by_version: dict[str | None, list[int]] = {}
        for position, call in enumerate(calls):
            version = call.request.version
            by_version.setdefault(None if version == champion.card.version else version, []).append(position)
        for version, positions in by_version.items():
            try:
                engine = champion if version is None else self._engine(version)
            except ModelaneError as error:
                for position in positions:
                    results[position] = error
                continue
            predicted = batching.answer(
                [calls[position].request for position in positions],
                engine,
                max_rows=self._max_batch_rows,
                serve_others=serve_others,
            )
            for position, share in zip(positions, predicted, strict=True):
                results[position] = (
                    _result(calls[position], share, engine.card.version)
                    if isinstance(share, batching.Predicted)
                    else share
                )
        return [result for result in results if result is not None]

    def give_back(self) -> None:
        """Do nothing: a batch is answered sooner than it could be given back."""


def result_of(request: Request, version: str, values: Any) -> dict[str, Any]:
    """Return what every caller gets of a prediction; output i of ``values`` answers row i."""
    return {"model": request.model, "version": version, "method": request.method, "values": values}


def _result(call: Call[Request], predicted: batching.Predicted, version: str) -> dict[str, Any]:
    result = result_of(call.request, version, predicted.values)
    if call.envelope.form == "msgpack":  # our client; others get only the four fields that are documented
        result |= {
            "attempts": call.envelope.attempts + 1,
            "queued_s": call.queued_s,
            "gathered_s": max(0.0, predicted.began_s - call.reserved_s),
            "predict_s": predicted.predict_s,
            "batch_rows": predicted.batch_rows,
        }
    return result
