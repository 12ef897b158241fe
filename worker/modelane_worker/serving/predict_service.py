"""What a prediction lane does with its requests: one version, one batch, one outcome each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from modelane.errors import BadInput, ModelaneError
from modelane.protocol.predict_request import Request, read_request
from modelane_worker.inference import batching
from modelane_worker.inference.engine import Engine
from modelane_worker.lanes.admission import Call, Outcome


class Others(Protocol):
    """See :class:`modelane_worker.serving.version_cache.Versions`."""

    @property
    def engine(self) -> Callable[[str], Engine]: ...


class Live(Protocol):
    """See :class:`modelane_worker.serving.live_model.LiveModel`."""

    @property
    def model(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def others(self) -> Others: ...

    def put_off_s(self, version: str | None) -> float: ...


class PredictService:
    """Answers ``modelane.predict`` with the version that is live, or the one asked for."""

    def __init__(self, live: Live, *, max_batch_rows: int) -> None:
        self._live = live
        self._max_batch_rows = max_batch_rows

    def put_off(self, call: Call) -> float:
        version = call.body[1].get("version")
        return self._live.put_off_s(version) if isinstance(version, str) else 0.0

    def answer(self, calls: Sequence[Call], breathe: Callable[[], None]) -> list[Outcome]:
        champion = self._live.engine
        outcomes: list[Outcome | None] = [None] * len(calls)
        versions: dict[str | None, list[tuple[int, Request]]] = {}
        for position, call in enumerate(calls):
            try:
                request = self._request(call)
            except ModelaneError as error:
                outcomes[position] = error
            else:
                asked = None if request.version == champion.card.version else request.version
                versions.setdefault(asked, []).append((position, request))
        for version, requests in versions.items():
            try:
                engine = champion if version is None else self._live.others.engine(version)
            except ModelaneError as error:
                answered: Sequence[batching.Outcome] = [error] * len(requests)
            else:
                answered = batching.answer(
                    [request for _, request in requests],
                    engine,
                    max_rows=self._max_batch_rows,
                    serve_others=breathe,
                )
            for (position, request), outcome in zip(requests, answered, strict=True):
                if isinstance(outcome, batching.Predicted):
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
        return request

    def _value(
        self, call: Call, request: Request, predicted: batching.Predicted, version: str
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
