r"""Every Redis key, channel, queue and task name of Modelane, in one table.

    name                               type        holds                                     lives
    modelane.predict.<model>           list        messages that wait, Celery's own form     until reserved
    …\x06\x163  …\x06\x166  …\x06\x169    lists       the same, at lower priorities             until reserved
    <queue>.leased                     hash        batch → how many of it are being answered until settled
    <queue>.leased.<batch>             list        those messages                            until settled
    <queue>.leases                     sorted set  batch → Redis time at which it returns    until settled
    <queue>.leased.given-up.<token>    string      this reserve comes too late, if it comes  GIVEN_UP_TTL_S
    <queue>.dead                       hash        id → dead letter: reason and message      until dropped
    <queue>.rate                       string      when it last began or settled, how many/s    RATE_TTL_S
    <queue>.put.<token>                string      this put is done, so a repeat is harmless PUT_TTL_S
    modelane.retrain                   list        retraining tasks; .leased … as above      until reserved
    modelane.run.<model>               hash        its latest retraining: who runs it, its outcome  RUN_TTL_S
    modelane.search.<run>              list        trials of its search, a change a line      SEARCH_TTL_S
    modelane.searches                  sorted set  "model run" → Redis time until it takes help SEARCH_TTL_S
    modelane.held                      sorted set  "model version" → Redis time until it is held  HELD_TTL_S
    modelane.tasks                     list        what Celery's own consumer runs           until taken
    modelane.revoked                   sorted set, id → Redis time at which it was revoked   REVOKED_TTL_S
                                       channel     ids that were revoked just now, as JSON   -
    modelane.attached                  string      some request has further waiters          until they stop
    modelane.attached.<id>             set         channels of clients that wait for it, too until they stop
    modelane.suspect.<process>         string      tag of the lease it would die of          SUSPECT_TTL_S
    modelane.reply.<client>            channel     answers for one client                    -
    modelane.served                    set         names of models that were ever published  -
    modelane.served.<model>            string      its version, columns, methods and classes  SERVED_TTL_S
    modelane.models                    channel     name of a model whose alias moved         -
    /<db>.celeryev/task.multi          channel     what Flower is told, by Celery's names     -
    celery-task-meta-<id>              string,     an answer, Celery's own form; or that an  result_ttl_s
                                       channel     id which a caller named is taken

    task                               arguments                               queue
    modelane.predict                   model, rows, method, columns, params,   modelane.predict.<model>
                                       version
    modelane.retrain                   model                                   modelane.retrain

Everything but the tasks stands behind ``MODELANE_PREFIX``.  A model's name has no dot, so no queue can
collide with another one's helpers.
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

#: Celery's ``event_exchange``, and the routing key of many events about tasks in one message.
EVENT_EXCHANGE = "celeryev"
EVENTS_KEY = "task.multi"

#: kombu's Redis transport: four lists a queue, served in this order (``priority_steps``, ``sep``).
PRIORITIES = (0, 3, 6, 9)
_PRIORITY_SEPARATOR = "\x06\x16"

#: Seconds that a put is remembered.  Longer than any retry of it, short enough to cost little memory.
PUT_TTL_S = 120

#: Seconds that a reserve whose reply was lost may still be on its way.
GIVEN_UP_TTL_S = 120

#: Seconds that a lane's rate looks back, and that it is kept when nothing is settled any more.
RATE_LOOKS_BACK_S = 5
RATE_TTL_S = 3600

#: How many revoked ids are known, and for how long, in seconds: as many and as long as Celery's workers do.
MAX_REVOKED = 50_000
REVOKED_TTL_S = 10_800

#: Seconds that a model counts as served after a worker has said so; it says so three times in them.
SERVED_TTL_S = 90

#: Seconds that a dead worker's suspect is known: until the last of its leases has returned, a day at most.
SUSPECT_TTL_S = 86_400

#: Seconds that a retraining is remembered: a lost one may be taken over until then, and one that has ended
#: answers those who had asked before.
RUN_TTL_S = 86_400

#: Seconds after the last change that a search is kept: one is taken over within minutes, or never.
SEARCH_TTL_S = 86_400

#: Seconds that a version counts as held after its worker has said so; said again three times in it.
HELD_TTL_S = 180

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_model_name(model: object) -> str:
    """Return ``model`` if it is a model's name.

    Raises:
        BadInput: it is not; the sentence says what a name looks like.
    """
    if isinstance(model, str) and _MODEL_NAME.fullmatch(model):
        return model
    raise BadInput(
        f"{model!r:.80} is not a model's name: small letters, digits, - and _, at most 64, "
        "starting with a letter or digit"
    )


def predict_queue(model: str) -> str:
    return PREDICT_QUEUE_PREFIX + check_model_name(model)


def lane_of(queue: str) -> str | None:
    """The model whose lane ``queue`` is; None if it is an ordinary queue."""
    model = queue.removeprefix(PREDICT_QUEUE_PREFIX)
    return model if model != queue and _MODEL_NAME.fullmatch(model) else None


def events_channel(db: int, prefix: str) -> str:
    """Where kombu's Redis transport looks for what is published to Celery's event exchange."""
    return f"{prefix}/{db}.{EVENT_EXCHANGE}/{EVENTS_KEY}"


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one leased queue, prefix included."""

    queue: str
    prefix: str = ""

    @property
    def priorities(self) -> tuple[str, ...]:
        """Its lists, most urgent first."""
        return tuple(
            f"{self.prefix}{self.queue}{_PRIORITY_SEPARATOR}{step}" if step else self.first
            for step in PRIORITIES
        )

    @property
    def first(self) -> str:
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
    """Index into :data:`PRIORITIES` of the list that kombu would choose: the largest step not above."""
    return max(i for i, step in enumerate(PRIORITIES) if step <= max(0, min(9, priority)))
