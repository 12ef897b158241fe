"""Every error of Modelane, in one tree whose branches say what to do.

    ModelaneError
    ├── RequestError            the request is wrong; sending it again cannot help
    │   ├── BadInput            rows, columns or types that the model does not take
    │   ├── TooLarge            beyond a size limit
    │   ├── UnknownMethod       a method that the model's card does not allow
    │   ├── UnknownModel        no such model, or no such version of it
    │   └── Undecodable         not a message in Modelane's or Celery's form
    ├── TryLater                nothing is wrong with the request
    │   ├── QueueFull           the lane is over its depth limit
    │   └── BrokerUnavailable   Redis does not answer, or cannot serve now
    ├── BrokerRefused           Redis does not allow a command; an operator must act
    ├── NotAnswered             no prediction was made
    │   ├── Expired             its deadline passed before a worker came to it
    │   ├── Revoked             somebody cancelled it
    │   ├── TimedOut            the caller stopped waiting; the answer may still come
    │   ├── ClientClosed        its client was closed, or stayed in the process that this one was forked from
    │   └── Buried              it failed its worker too often and is a dead letter now
    ├── PredictionFailed        the model raised, or answered in the wrong shape
    ├── StoreError              the model store
    │   ├── UntrustedModel      signature or digest does not match; nothing was loaded
    │   ├── IncompatibleModel   made with libraries that this process does not have
    │   └── NoSuchVersion       no such version or alias
    ├── TrainingError           nothing was published
    │   ├── RecipeError         the recipe cannot be read or contradicts itself
    │   ├── BadData             the data cannot be trained on
    │   └── RunEnded            the run was ended by a limit, or crashed
    ├── BulkError               a file of `modelane score` cannot be read, written, or gone on with
    ├── SettingsError           a setting has a wrong value
    └── StackError              `modelane up`, or a stack for tests, cannot run here

Catch a branch, not a leaf, unless the leaf matters:

    try:
        answer = client.predict("churn", rows)
    except TryLater: ...          # back off, send again
    except RequestError: ...      # tell the caller what is wrong with the rows

An error is made from one sentence and keeps it as its only argument, so that it survives pickling and
crosses the wire as ``(code, sentence)``.
"""

from __future__ import annotations

__all__ = [
    "BadData",
    "BadInput",
    "BrokerRefused",
    "BrokerUnavailable",
    "BulkError",
    "Buried",
    "ClientClosed",
    "Expired",
    "IncompatibleModel",
    "ModelaneError",
    "NoSuchVersion",
    "NotAnswered",
    "PredictionFailed",
    "QueueFull",
    "RecipeError",
    "RequestError",
    "Revoked",
    "RunEnded",
    "SettingsError",
    "StackError",
    "StoreError",
    "TimedOut",
    "TooLarge",
    "TrainingError",
    "TryLater",
    "Undecodable",
    "UnknownMethod",
    "UnknownModel",
    "UntrustedModel",
]


class ModelaneError(Exception):
    """Base of all errors that Modelane raises."""

    @property
    def code(self) -> str:
        """Stable name that crosses the wire."""
        return type(self).__name__


class RequestError(ModelaneError):
    """The request is wrong; sending it again cannot help."""


class BadInput(RequestError):
    """Rows, columns or types that the model does not take."""


class TooLarge(RequestError):
    """Beyond a size limit."""


class UnknownMethod(RequestError):
    """A method that the model's card does not allow."""


class UnknownModel(RequestError):
    """No such model, or no such version of it."""


class Undecodable(RequestError):
    """Not a message in Modelane's or Celery's form."""


class TryLater(ModelaneError):
    """Nothing is wrong with the request; send it again later."""


class QueueFull(TryLater):
    """The lane is over its depth limit; nothing was put.

    Attributes:
        depth: messages that wait in the lane.
        limit: how many may.
        retry_after_s: when to try again, in seconds.
    """

    def __init__(self, queue: str, depth: int, limit: int, retry_after_s: float) -> None:
        super().__init__(queue, depth, limit, retry_after_s)
        self.queue, self.depth, self.limit, self.retry_after_s = queue, depth, limit, retry_after_s

    def __str__(self) -> str:
        return (
            f"{self.queue} holds {self.depth} messages, its limit is {self.limit}; "
            f"try again in {self.retry_after_s:.3g} s"
        )


class BrokerUnavailable(TryLater):
    """Redis does not answer, or cannot serve now."""


class BrokerRefused(ModelaneError):
    """Redis does not allow a command (permissions, a key of another type); an operator must act."""


class NotAnswered(ModelaneError):
    """No prediction was made."""


class Expired(NotAnswered):
    """Its deadline passed before a worker came to it."""


class Revoked(NotAnswered):
    """Somebody cancelled it."""


class TimedOut(NotAnswered, TimeoutError):
    """The caller stopped waiting; the answer may still come."""


class ClientClosed(NotAnswered):
    """Its client was closed, or stayed in the process that this one was forked from."""


class Buried(NotAnswered):
    """It failed its worker too often and is a dead letter now."""


class PredictionFailed(ModelaneError):
    """The model raised, or answered in the wrong shape."""


class StoreError(ModelaneError):
    """The model store."""


class UntrustedModel(StoreError):
    """Signature or digest does not match; nothing was loaded."""


class IncompatibleModel(StoreError):
    """Made with libraries that this process does not have."""


class NoSuchVersion(StoreError):
    """No such version or alias."""


class TrainingError(ModelaneError):
    """Nothing was published."""


class RecipeError(TrainingError):
    """The recipe cannot be read or contradicts itself."""


class BadData(TrainingError):
    """The data cannot be trained on."""


class RunEnded(TrainingError):
    """The run was ended by a limit, or crashed."""


class BulkError(ModelaneError):
    """A file of `modelane score` cannot be read, written, or gone on with."""


class SettingsError(ModelaneError):
    """A setting has a wrong value."""


class StackError(ModelaneError):
    """A stack cannot run here: a port is taken, a program is missing, or it runs already."""


def from_code(code: str, sentence: str) -> ModelaneError:
    """The error that crossed the wire as ``(code, sentence)``; an unknown code is a failed prediction."""
    found = globals().get(code)
    if isinstance(found, type) and issubclass(found, ModelaneError) and found is not QueueFull:
        return found(sentence)
    return PredictionFailed(f"{code}: {sentence}")
