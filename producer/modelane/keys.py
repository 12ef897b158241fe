r"""All Redis keys, channels, queues and task names of Modelane.

Each row of the tables is one kind of name::

    name                               type        content                                     kept
    modelane.predict.<model>           list        waiting messages, in Celery's format        until reserved
    …\x06\x163  …\x06\x166  …\x06\x169    lists       the same, at lower priorities            until reserved
    <queue>.leased                     hash        batch → number of its messages still leased until settled
    <queue>.leased.<batch>             list        those messages                              until settled
    <queue>.leases                     sorted set  batch → Redis time at which its lease ends  until settled
    <queue>.leased.given-up.<token>    string      a reserve with this token must do nothing   GIVEN_UP_TTL_S
    <queue>.dead                       hash        id → dead letter: reason and message        until dropped
    <queue>.rate                       string      Redis time of the last settle, requests/s   RATE_TTL_S
    <queue>.put.<token>                string      the put with this token is done             PUT_TTL_S
    modelane.retrain                   list        retraining tasks; .leased … as above        until reserved
    modelane.run.<model>               hash        latest retraining: its holder, its outcome  RUN_TTL_S
    modelane.search.<run>              list        trials of its search, one change per line   SEARCH_TTL_S
    modelane.searches                  sorted set  "model run" → Redis time until which other  SEARCH_TTL_S
                                                   trainers may join the search
    modelane.held                      sorted set  "model version" → Redis time until which a  HELD_TTL_S
                                                   worker holds it
    modelane.tasks                     list        messages for Celery's own consumer          until taken
    modelane.revoked                   sorted set, id → Redis time of its revocation           REVOKED_TTL_S
                                       channel     ids that were revoked just now, as JSON     -
    modelane.attached                  string      exists while some request has more waiters  until they stop
    modelane.attached.<id>             set         channels of those waiters                   until they stop
    modelane.suspect.<process>         string      tag of the request that may crash a worker  SUSPECT_TTL_S
    modelane.reply.<client>            channel     answers for one client                      -
    modelane.served                    set         names of all models ever published          -
    modelane.served.<model>            string      its version, columns, methods and classes   SERVED_TTL_S
    modelane.models                    channel     name of a model whose alias has moved       -
    /<db>.celeryev/task.multi          channel     Celery events for Flower; Celery's name     -
    celery-task-meta-<id>              string,     the result, in Celery's format; before it a result_ttl_s
                                       channel     placeholder if the caller chose the id

    task                               arguments                               queue
    modelane.predict                   model, rows, method, columns, params,   modelane.predict.<model>
                                       version
    modelane.retrain                   model                                   modelane.retrain

Every name except those of the tasks is prefixed with ``MODELANE_PREFIX``. Names of models have no dots, so a
queue cannot collide with a helper key of another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelane.errors import BadInput

PREDICT_TASK = "modelane.predict"
RETRAIN_TASK = "modelane.retrain"

RETRAIN_QUEUE = "modelane.retrain"
DEFAULT_QUEUE = "modelane.tasks"
QUEUE_PREFIX = "modelane."
PREDICT_QUEUE_PREFIX = "modelane.predict."
DEAD_SUFFIX = ".dead"

REVOKED_KEY = "modelane.revoked"
ATTACHED_KEY = "modelane.attached"
REPLY_CHANNEL_PREFIX = "modelane.reply."
MODELS_CHANNEL = "modelane.models"
SERVED_KEY = "modelane.served"
SERVED_KEY_PREFIX = "modelane.served."
SUSPECT_KEY_PREFIX = "modelane.suspect."
RUN_KEY_PREFIX = "modelane.run."
SEARCH_KEY_PREFIX = "modelane.search."
SEARCHES_KEY = "modelane.searches"
HELD_KEY = "modelane.held"
RESULT_KEY_PREFIX = "celery-task-meta-"

#: Celery's ``event_exchange``, and its routing key for several task events in one message.
EVENT_EXCHANGE = "celeryev"
EVENTS_KEY = "task.multi"

#: kombu's Redis transport keeps four lists per queue, served in this order (``priority_steps``, ``sep``).
PRIORITIES = (0, 3, 6, 9)
_PRIORITY_SEPARATOR = "\x06\x16"

#: Seconds that a put is remembered: longer than a client repeats it, and short enough to cost little memory.
PUT_TTL_S = 120

#: Seconds for which a reserve whose reply was lost may still reach Redis.
GIVEN_UP_TTL_S = 120

#: Time constant of a lane's average rate, and how long the rate is kept after the last settle; seconds.
RATE_TIME_CONSTANT_S = 5
RATE_TTL_S = 3600

#: How many revoked ids are kept and for how many seconds; the same as Celery's workers keep.
MAX_REVOKED = 50_000
REVOKED_TTL_S = 10_800

#: Seconds that a model counts as served after a worker's announcement; workers repeat it every third of that.
SERVED_TTL_S = 90

#: Seconds that the suspect of a dead worker is kept: until its last lease has returned, at most a day.
SUSPECT_TTL_S = 86_400

#: Seconds that a retraining is remembered: for so long another trainer may take over a lost run, and requests
#: that had joined a finished run get its outcome.
RUN_TTL_S = 86_400

#: Seconds that a search is kept after its last change; a lost one is taken over within minutes or never.
SEARCH_TTL_S = 86_400

#: Seconds that a version counts as held after a worker's report, which repeats every SERVED_TTL_S / 3.
HELD_TTL_S = 180

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_model_name(model: object) -> str:
    """Return ``model`` if it is a model's name.

    Raises:
        BadInput: it is not; the message says what a name looks like.
    """
    if isinstance(model, str) and _MODEL_NAME.fullmatch(model):
        return model
    raise BadInput(
        f"{model!r:.80} is not a model's name: expected 1 to 64 lowercase letters, digits, - or _, "
        "starting with a letter or a digit"
    )


def predict_queue(model: str) -> str:
    """Return the name of a model's queue, without prefix.

    Raises:
        BadInput: ``model`` is not a model's name.
    """
    return PREDICT_QUEUE_PREFIX + check_model_name(model)


def lane_of(queue: str) -> str | None:
    """Return the model that a queue belongs to, or None if the queue is not a lane."""
    model = queue.removeprefix(PREDICT_QUEUE_PREFIX)
    return model if model != queue and _MODEL_NAME.fullmatch(model) else None


def events_channel(db: int, prefix: str) -> str:
    """Return the channel on which kombu's Redis transport receives messages of Celery's event exchange."""
    return f"{prefix}/{db}.{EVENT_EXCHANGE}/{EVENTS_KEY}"


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one leased queue, prefix included."""

    queue: str
    prefix: str = ""

    @property
    def priorities(self) -> tuple[str, ...]:
        """The waiting lists, most urgent first."""
        return tuple(
            f"{self.prefix}{self.queue}{_PRIORITY_SEPARATOR}{step}" if step else self.first
            for step in PRIORITIES
        )

    @property
    def first(self) -> str:
        """The list of the highest priority, which stock Celery uses by default."""
        return self.prefix + self.queue

    @property
    def leased(self) -> str:
        return f"{self.first}.leased"

    @property
    def leases(self) -> str:
        return f"{self.first}.leases"

    @property
    def dead(self) -> str:
        return self.first + DEAD_SUFFIX

    @property
    def rate(self) -> str:
        return f"{self.first}.rate"

    def put(self, token: str) -> str:
        return f"{self.first}.put.{token}"


def priority_step(priority: int) -> int:
    """Return the index into :data:`PRIORITIES` that kombu chooses: of the largest step up to ``priority``."""
    return max(i for i, step in enumerate(PRIORITIES) if step <= max(0, min(9, priority)))
