"""All errors of Modelane in one tree; the branch of an error says what the caller can do.

The tree::

    ModelaneError
    ├── RequestError            the request is wrong; sending it again fails again
    │   ├── BadInput            rows, columns or arguments that the model does not accept
    │   ├── TooLarge            a size limit is exceeded
    │   ├── UnknownMethod       the model's card does not allow the method
    │   ├── UnknownModel        no worker knows the model, or the version of it
    │   └── Undecodable         not a message in Modelane's or Celery's format
    ├── TryLater                the request is fine; send it again later
    │   ├── QueueFull           the lane has reached its depth limit
    │   └── BrokerUnavailable   Redis does not answer, or cannot serve the command now
    ├── BrokerRefused           Redis rejects the command; an operator must act
    ├── NotAnswered             no prediction was made
    │   ├── Expired             the deadline passed before a worker started the request
    │   ├── Revoked             the request was cancelled
    │   ├── TimedOut            the caller's timeout passed; the answer may still arrive
    │   ├── ClientClosed        the client was closed, or belongs to the parent of this forked process
    │   └── Buried              the request lost too many workers and is now a dead letter
    ├── PredictionFailed        the model raised an exception, or its answer has the wrong shape
    ├── StoreError              the model store cannot be read or written
    │   ├── UntrustedModel      a signature or checksum does not match; nothing was loaded
    │   ├── IncompatibleModel   the model needs libraries that this process does not have
    │   └── NoSuchVersion       the model has no such version or alias
    ├── TrainingError           nothing was published
    │   ├── RecipeError         the recipe cannot be read or contradicts itself
    │   ├── BadData             a model cannot be trained on the data
    │   └── RunEnded            the run crashed or was stopped at a limit
    ├── BulkError               a file of `modelane score` cannot be read, written or resumed
    ├── SettingsError           a setting has a wrong value
    └── StackError              `modelane up`, or a stack for tests, cannot run here

Catch a branch unless the leaf matters::

    try:
        answer = client.predict("churn", rows)
    except TryLater: ...          # back off and send again
    except RequestError: ...      # tell the caller what is wrong with the rows

Every error but :class:`QueueFull` is created from one message, which is its only argument, so that it can be
pickled and sent over the wire as ``(code, message)``.
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
    """Base class of all errors that Modelane raises."""

    @property
    def code(self) -> str:
        """Stable name of the error on the wire: the name of its class."""
        return type(self).__name__


class RequestError(ModelaneError):
    """The request is wrong; sending it again fails again."""


class BadInput(RequestError):
    """Rows, columns or arguments that the model does not accept."""


class TooLarge(RequestError):
    """A size limit is exceeded."""


class UnknownMethod(RequestError):
    """The model's card does not allow the method."""


class UnknownModel(RequestError):
    """No worker knows the model, or the version of it."""


class Undecodable(RequestError):
    """Not a message in Modelane's or Celery's format."""


class TryLater(ModelaneError):
    """The request is fine, but cannot be served now; send it again later."""


class QueueFull(TryLater):
    """The lane has reached its depth limit; nothing was sent.

    Args:
        queue: name of the lane's queue, such as ``modelane.predict.churn``.
        depth: number of messages that wait in the lane.
        limit: number of messages that may wait in it (``MODELANE_MAX_DEPTH``).
        retry_after_s: seconds after which the lane is expected to have room.

    Attributes:
        queue: name of the lane's queue.
        depth: number of messages that wait in the lane.
        limit: number of messages that may wait in it.
        retry_after_s: seconds after which the lane is expected to have room.
    """

    def __init__(self, queue: str, depth: int, limit: int, retry_after_s: float) -> None:
        super().__init__(queue, depth, limit, retry_after_s)
        self.queue, self.depth, self.limit, self.retry_after_s = queue, depth, limit, retry_after_s

    def __str__(self) -> str:
        return (
            f"queue {self.queue} is full: {self.depth} messages wait, and its limit is {self.limit}; "
            f"try again in {self.retry_after_s:.3g} s"
        )


class BrokerUnavailable(TryLater):
    """Redis does not answer, or cannot serve the command now."""


class BrokerRefused(ModelaneError):
    """Redis rejects the command (permissions, a key of another type); an operator must act."""


class NotAnswered(ModelaneError):
    """No prediction was made."""


class Expired(NotAnswered):
    """The deadline passed before a worker started the request."""


class Revoked(NotAnswered):
    """The request was cancelled."""


class TimedOut(NotAnswered, TimeoutError):
    """The caller's timeout passed; the answer may still arrive."""


class ClientClosed(NotAnswered):
    """The client was closed, or belongs to the parent of this forked process."""


class Buried(NotAnswered):
    """The request lost too many workers and is now a dead letter."""


class PredictionFailed(ModelaneError):
    """The model raised an exception, or its answer has the wrong shape."""


class StoreError(ModelaneError):
    """The model store cannot be read or written."""


class UntrustedModel(StoreError):
    """A signature or checksum does not match; nothing was loaded."""


class IncompatibleModel(StoreError):
    """The model needs libraries that this process does not have."""


class NoSuchVersion(StoreError):
    """The model has no such version or alias."""


class TrainingError(ModelaneError):
    """Nothing was published."""


class RecipeError(TrainingError):
    """The recipe cannot be read or contradicts itself."""


class BadData(TrainingError):
    """A model cannot be trained on the data."""


class RunEnded(TrainingError):
    """The run crashed or was stopped at a limit."""


class BulkError(ModelaneError):
    """A file of ``modelane score`` cannot be read, written or resumed."""


class SettingsError(ModelaneError):
    """A setting has a wrong value."""


class StackError(ModelaneError):
    """A stack cannot run here: a port is in use, a program is missing, or a stack is already running."""


def from_code(code: str, message: str) -> ModelaneError:
    """Return the error that was sent over the wire as a code and a message.

    Args:
        code: :attr:`ModelaneError.code` of the error.
        message: ``str()`` of the error.

    Returns:
        An error of the class that ``code`` names. If there is no such class, a :class:`PredictionFailed`: the
        code may be the name of an exception that a model raised.
    """
    found = globals().get(code)
    if isinstance(found, type) and issubclass(found, ModelaneError) and found is not QueueFull:
        return found(message)
    return PredictionFailed(f"{code}: {message}")
