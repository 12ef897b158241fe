"""The streaming half of the client: ``map`` for iterators and ``amap`` for asynchronous iterators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Literal, Unpack, overload

from modelane.client.answer import Answer
from modelane.client.options import Options, check_no_ignore_result, check_seconds
from modelane.client.prediction import Prediction
from modelane.client.window import Outcome, Submit, check_window, in_order, in_order_async
from modelane.errors import BadInput


class MapMixin(ABC):
    """Adds ``map`` and ``amap`` to a client."""

    _timeout_s: float  #: default timeout of a request

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
        """Send many batches, and return their answers in the same order.

        Batches are read only as far as the window reaches, so they may come from a generator over more data
        than fits into memory. While the lane is full or Redis is unavailable, it waits and sends the batch
        again, for at most ``timeout_s`` without an answer. If the caller stops iterating, the requests in
        flight are cancelled.

        Args:
            model: name of the model.
            batches: each as ``rows`` of :meth:`submit`.
            window: batches in flight.
            return_errors: return the error of a failed batch in place of its answer, instead of raising it.
            **options: of each request, as for :meth:`submit`, except ``id`` and ``ignore_result``.

        Returns:
            An iterator over one answer per batch.

        Raises:
            BadInput: the window or an option has a wrong value.
            ModelaneError: raised by the iterator, in the place of the batch that failed.
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
        """Do the same as :meth:`map` in an event loop: ``async for answer in client.amap(model, batches)``.

        Args:
            model: name of the model.
            batches: as for :meth:`map`, or an asynchronous iterable.
            window: batches in flight.
            return_errors: return the error of a failed batch in place of its answer, instead of raising it.
            **options: of each request, as for :meth:`submit`, except ``id`` and ``ignore_result``.

        Returns:
            An asynchronous iterator over one answer per batch.

        Raises:
            BadInput: the window or an option has a wrong value.
            ModelaneError: raised by the iterator, in the place of the batch that failed.
        """
        submit, patience_s = self._submit_each(model, options)
        return in_order_async(
            submit,
            batches,
            window=check_window(window),
            return_errors=return_errors,
            patience_s=patience_s,
        )

    def _submit_each(self, model: str, options: Options) -> tuple[Submit, float]:
        check_no_ignore_result(options)
        if options.get("id") is not None:
            raise BadInput(
                "id identifies a single request, but map and amap send one request per batch: omit it"
            )
        timeout_s = options.get("timeout_s")
        patience_s = self._timeout_s if timeout_s is None else check_seconds("timeout_s", timeout_s)
        return (lambda rows: self.submit(model, rows, **options)), patience_s
