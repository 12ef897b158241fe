"""What a lane asks of the service behind it: the interface between ``lanes`` and what answers requests.

A lane passes a request through four steps: reserve, admit, serve, settle. Two of them, admit and serve,
belong to the service; :mod:`modelane_worker.serving.predict_service` and the trainer's retrain service
implement them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from modelane.errors import ModelaneError
from modelane.protocol.message import Body, Envelope

RequestT = TypeVar("RequestT")

#: What a request is answered with: the value that ``AsyncResult.get`` returns, or the error that it raises.
Result = dict[str, Any] | ModelaneError


class Call(msgspec.Struct, Generic[RequestT], frozen=True, gc=False):
    """An admitted message: a leased request that is to be served now.

    Attributes:
        tag: of its lease.
        request: what the service made of the message's body.
        n_bytes: size of the message.
        queued_s: from submit to reserve, by the sender's clock and Redis's; 0 if the sender gives no time.
        reserved_s: ``time.perf_counter`` when it was reserved.
    """

    tag: bytes
    envelope: Envelope
    request: RequestT
    n_bytes: int
    queued_s: float
    reserved_s: float


@dataclass(frozen=True, slots=True)
class Deferred:
    """A message that returns to the queue for ``delay_s`` seconds, which is not counted as an attempt."""

    tag: bytes
    delay_s: float


class GivenBack(Exception):
    """The service did not answer because its worker stops; its calls return to the queue unchanged."""


class Service(Protocol[RequestT]):
    """Answers the requests of one lane."""

    def admit(self, tag: bytes, envelope: Envelope, body: Body) -> RequestT | Deferred:
        """Parse a message into a request; called once for each message that is wanted.

        Args:
            tag: of its lease.
            envelope: its headers and properties.
            body: its arguments.

        Returns:
            The request, or when to reserve the message again if it cannot be served yet.

        Raises:
            RequestError: the request is wrong; the lane answers it with this error.
        """
        ...

    def serve(self, calls: Sequence[Call[RequestT]], serve_others: Callable[[], None]) -> Sequence[Result]:
        """Answer calls together; result i answers call i.

        Args:
            calls: one or more.
            serve_others: may be called during a long computation; the lane then serves what has gathered.

        Raises:
            GivenBack: only after :meth:`give_back`.
        """
        ...

    def give_back(self) -> None:
        """Let long work end with :class:`GivenBack`, as the worker stops; called by another thread."""
        ...
