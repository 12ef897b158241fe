"""The models that workers serve, with the part of each card that callers need.

Workers announce their models again and again while they run. The command line, bulk scoring and services read
them, for instance to know a model's columns before the first request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec
import redis
from redis.utils import str_if_bytes

from modelane.broker.connection import broker_errors
from modelane.data.features import Feature
from modelane.errors import UnknownModel
from modelane.keys import SERVED_KEY, SERVED_KEY_PREFIX, SERVED_TTL_S, check_model_name


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a worker serves.

    Attributes:
        model: name of the model.
        version: the version that answers.
        features: columns of a request, in the order of the card.
        methods: methods that a request may call.
        classes: of a classifier, in the order of the columns of ``predict_proba``; None for other models.
    """

    model: str
    version: str
    features: tuple[Feature, ...]
    methods: tuple[str, ...]
    classes: tuple[str | int | float | bool | None, ...] | None


def announce(
    client: redis.Redis, prefix: str, served: Iterable[Served], *, known: Iterable[str] = ()
) -> None:
    """Write what a worker serves, for :data:`modelane.keys.SERVED_TTL_S`, and which models exist, for good.

    Args:
        client: connection to Redis.
        prefix: of every key.
        served: models that the caller serves.
        known: names of further models, whether anybody serves them or not.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    with broker_errors(), client.pipeline(transaction=False) as pipeline:
        names = set(known)
        for one in served:
            names.add(one.model)
            pipeline.set(f"{prefix}{SERVED_KEY_PREFIX}{one.model}", msgspec.json.encode(one), ex=SERVED_TTL_S)
        if names:
            pipeline.sadd(prefix + SERVED_KEY, *names)
        pipeline.execute()


def known_models(client: redis.Redis, prefix: str) -> frozenset[str]:
    """Return the names of all models that were ever published or announced.

    Raises:
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: Redis does not allow it.
    """
    with broker_errors():
        return frozenset(map(str_if_bytes, client.smembers(prefix + SERVED_KEY)))


def served_models(client: redis.Redis, prefix: str) -> list[Served]:
    """Return the models that workers have announced recently, sorted by name.

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
    """Return one model that a worker serves.

    Raises:
        BadInput: ``model`` is not a model's name.
        UnknownModel: no worker serves it now; the message lists the models that are served.
        BrokerUnavailable: Redis does not answer.
        BrokerRefused: an operator must act.
    """
    check_model_name(model)
    served = {one.model: one for one in served_models(client, prefix)}
    if model not in served:
        raise UnknownModel(not_served(model, [*served]))
    return served[model]


def not_served(model: str, served: Sequence[str]) -> str:
    """Return the message of an error for a model that no worker serves.

    Args:
        model: name in the request.
        served: names of the models that are served now.
    """
    if not served:
        return f"no worker serves the model {model!r}, nor any other: check that a worker is running"
    suggestion = f"; did you mean {close[0]!r}?" if (close := get_close_matches(model, served, 1)) else ""
    return f"no worker serves the model {model!r}; models in service: {', '.join(served)}{suggestion}"


def _read(raw: bytes | str) -> Served | None:
    """Return what a worker announced; None if another release wrote it in another format."""
    try:
        return msgspec.json.decode(raw, type=Served)
    except msgspec.MsgspecError:
        return None
