"""Many batches through one client: the half of it that streams.  batches → STREAMING → stream → submit.

for answer in client.map("churn", batches): ...
async for answer in client.amap("churn", batches): ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Literal, Unpack, overload

from modelane.client.answer import Answer
from modelane.client.options import Options, check_seconds, check_wanted
from modelane.client.prediction import Prediction
from modelane.client.window import Outcome, Submit, check_window, in_order, in_order_async
from modelane.errors import BadInput


class Streaming(ABC):
    """Of a client."""

    _timeout_s: float  #: of a request that does not say otherwise

    @abstractmethod
    def submit(self, model: str, rows: Any, **options: Unpack[Options]) -> Prediction[Any]:
        """Send one batch."""

    @overload
    def map(
        self,
        model: str,
        batches: Iterable[Any],
        *,
        window: int = 32,
        return_errors: Literal[False] = False,
        **options: Unpack[Options],
    ) -> Iterator[Answer]: ...

    @overload
    def map(
        self,
        model: str,
        batches: Iterable[Any],
        *,
        window: int = 32,
        return_errors: Literal[True],
        **options: Unpack[Options],
    ) -> Iterator[Outcome]: ...

    def map(
        self,
        model: str,
        batches: Iterable[Any],
        *,
        window: int = 32,
        return_errors: bool = False,
        **options: Unpack[Options],
    ) -> Iterator[Any]:
        """One answer a batch, in their order.

        Batches are read as the window moves on, so they may be a generator over more than fits into memory.
        A full lane is waited for.  Whoever stops reading calls off what has not begun.

        Args:
            model: its name.
            batches: each as :meth:`submit` takes rows.
            window: batches in flight.
            return_errors: a batch that fails gives its error in its place; else it is raised there.
            options: of each request, as for :meth:`submit`; not ``id``.
        """
        submit, patience_s = self._submit_each(model, options)
        return in_order(
            submit,
            batches,
            window=check_window(window),
            return_errors=return_errors,
            patience_s=patience_s,
        )

    @overload
    def amap(
        self,
        model: str,
        batches: Iterable[Any] | AsyncIterable[Any],
        *,
        window: int = 32,
        return_errors: Literal[False] = False,
        **options: Unpack[Options],
    ) -> AsyncIterator[Answer]: ...

    @overload
    def amap(
        self,
        model: str,
        batches: Iterable[Any] | AsyncIterable[Any],
        *,
        window: int = 32,
        return_errors: Literal[True],
        **options: Unpack[Options],
    ) -> AsyncIterator[Outcome]: ...

    def amap(
        self,
        model: str,
        batches: Iterable[Any] | AsyncIterable[Any],
        *,
        window: int = 32,
        return_errors: bool = False,
        **options: Unpack[Options],
    ) -> AsyncIterator[Any]:
        """:meth:`map` for ``async for``; ``batches`` may be asynchronous, too."""
        submit, patience_s = self._submit_each(model, options)
        return in_order_async(
            submit,
            batches,
            window=check_window(window),
            return_errors=return_errors,
            patience_s=patience_s,
        )

    def _submit_each(self, model: str, options: Options) -> tuple[Submit, float]:
        check_wanted(options)
        if options.get("id") is not None:
            raise BadInput("id names one request, and here are many")
        timeout_s = options.get("timeout_s")
        patience_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        return (lambda rows: self.submit(model, rows, **options)), patience_s
