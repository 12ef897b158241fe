"""What a prediction lane does with its requests: one version, one batch, one outcome each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelane.errors import BadInput, ModelaneError, UnknownModel
from modelane.request import Request, read_request
from modelane_worker import batch
from modelane_worker.intake import Call, Outcome
from modelane_worker.live import LiveModel


class PredictService:
    """Answers ``modelane.predict`` with the version of a model that is live when the batch begins."""

    def __init__(self, live: LiveModel, *, max_batch_rows: int) -> None:
        self._live = live
        self._max_batch_rows = max_batch_rows

    put_off = None

    def answer(self, calls: Sequence[Call], breathe: Callable[[], None]) -> list[Outcome]:
        engine = self._live.engine
        outcomes: list[Outcome | None] = [None] * len(calls)
        requests: list[tuple[int, Request]] = []
        for position, call in enumerate(calls):
            try:
                requests.append((position, self._request(call)))
            except ModelaneError as error:
                outcomes[position] = error
        answered = batch.answer(
            [request for _, request in requests], engine, max_rows=self._max_batch_rows, breathe=breathe
        )
        for (position, request), outcome in zip(requests, answered, strict=True):
            if isinstance(outcome, batch.Predicted):
                outcomes[position] = self._value(calls[position], request, outcome, engine.card.version)
            else:
                outcomes[position] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def give_back(self) -> None:
        """A batch is answered sooner than it could be given back."""

    def _request(self, call: Call) -> Request:
        request = read_request(call.envelope, call.body)
        if request.model != self._live.model:
            raise BadInput(
                f"a request for {request.model!r:.80} came to the lane of {self._live.model}: "
                "send it to the queue of its own model"
            )
        if request.version not in (None, self._live.version):
            raise UnknownModel(
                f"{request.model} {request.version} is not in service; {self._live.version} is"
            )
        return request

    def _value(
        self, call: Call, request: Request, predicted: batch.Predicted, version: str
    ) -> dict[str, Any]:
        value: dict[str, Any] = {
            "model": request.model,
            "version": version,
            "method": request.method,
            "values": predicted.values,
        }
        if call.envelope.form == "msgpack":  # our client's; others get the four that are promised
            value |= {
                "attempts": call.envelope.attempts + 1,
                "queued_s": call.queued_s,
                "gathered_s": max(0.0, predicted.began_s - call.reserved_s),
                "predict_s": predicted.predict_s,
                "batch_rows": predicted.batch_rows,
            }
        return value
