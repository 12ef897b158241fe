"""What workers say that they serve: each model's version, columns, methods and classes.

A worker announces it (the card's part that a caller needs), and again while it runs; readers are the command
line and whoever wants to know the columns before the first request.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import redis
from redis.utils import str_if_bytes

from modelane.broker.connection import broker_errors
from modelane.errors import UnknownModel
from modelane.keys import SERVED_KEY, SERVED_KEY_PREFIX, SERVED_TTL_S, check_model_name


class Column(msgspec.Struct, frozen=True):
    """A column that a model takes; ``dtype`` is ``float64``, ``str`` or ``datetime64[us]``."""

    name: str
    dtype: str


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model in service.

    Attributes:
        model: its name.
        version: the one that answers.
        features: the columns of a request, in the card's order.
        methods: what a request may call.
        classes: of a classifier, in the order of ``predict_proba``'s columns; None for others.
    """

    model: str
    version: str
    features: tuple[Column, ...]
    methods: tuple[str, ...]
    classes: tuple[str | int | float | bool | None, ...] | None


def announce(client: redis.Redis, prefix: str, served: Iterable[Served]) -> None:
    """Keep it known for :data:`modelane.keys.SERVED_TTL_S`.

    Raises:
        BrokerUnavailable: nobody was told.
        BrokerRefused: an operator must act.
    """
    with broker_errors(), client.pipeline(transaction=False) as pipeline:
        for one in served:
            key = prefix + SERVED_KEY_PREFIX + one.model
            pipeline.set(key, msgspec.json.encode(one), ex=SERVED_TTL_S)
            pipeline.sadd(prefix + SERVED_KEY, one.model)
        pipeline.execute()


def served_models(client: redis.Redis, prefix: str) -> list[Served]:
    """All models that a worker has announced lately, by name.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    with broker_errors():
        names = sorted(map(str_if_bytes, client.smembers(prefix + SERVED_KEY)))
        if not names:
            return []
        found = client.mget([prefix + SERVED_KEY_PREFIX + name for name in names])
    return [served for raw in found if raw is not None and (served := _read(raw)) is not None]


def served_model(client: redis.Redis, prefix: str, model: str) -> Served:
    """One of them.

    Raises:
        BadInput: no model can have this name.
        UnknownModel: no worker serves it now; the sentence says which are served.
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    check_model_name(model)
    served = {one.model: one for one in served_models(client, prefix)}
    if model not in served:
        others = f"they serve {', '.join(served)}" if served else "no worker serves anything"
        raise UnknownModel(f"no worker serves {model} now; {others}")
    return served[model]


def _read(raw: bytes | str) -> Served | None:
    """None if another release has written it in another form."""
    try:
        return msgspec.json.decode(raw, type=Served)
    except msgspec.MsgspecError:
        return None
