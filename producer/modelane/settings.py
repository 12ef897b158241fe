"""Every setting of every program, read from the environment in one place.

A setting ``lease_s`` is the variable ``MODELANE_LEASE_S``.  What a worker or a trainer needs beyond Celery's
own options is here too, so that one table (README, "Settings") serves a whole fleet.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from msgspec import Meta

from modelane.errors import SettingsError

ENV_PREFIX = "MODELANE_"

#: Brokers that lanes run on.
LANE_SCHEMES = frozenset({"redis", "rediss"})
#: Brokers where Celery's own consumer takes the place of lanes (docs/how-to/other-brokers.md).
OTHER_SCHEMES = frozenset({"amqp", "amqps", "memory"})

_DAY_S = 86_400.0

#: How often something is looked at: no busy loop, and no longer than a socket may be silent.
Pause = Annotated[float, Meta(ge=0.01, le=60.0)]
#: How long something may take; what is longer than a month is a typing error.
Limit = Annotated[float, Meta(ge=0.1, le=31 * _DAY_S)]
#: How long something is kept; Redis forgets by the second.
Lifetime = Annotated[float, Meta(ge=1.0, le=366 * _DAY_S)]
#: Up to what Lua counts without rounding.
Count = Annotated[int, Meta(ge=1, le=2**53)]

_PREFIX = re.compile(r"([A-Za-z0-9:_.-]*[:_.-])?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable; make a changed copy with ``msgspec.structs.replace``.

    Raises:
        SettingsError: from :meth:`from_env`, naming the variable, its value and what is expected.
    """

    broker_url: Annotated[
        str,
        Meta(description="Redis that carries queues, results and events; `rediss://` for TLS"),
    ] = "redis://127.0.0.1:6379/0"
    result_url: Annotated[
        str,
        Meta(description="Celery's result backend if the broker is not Redis; empty: `rpc://`"),
    ] = ""
    prefix: Annotated[
        str,
        Meta(
            description="put before every Redis key and channel; letters, digits, ends with one of `: _ - .`"
        ),
    ] = ""
    home: Annotated[str, Meta(description="data folder: keys, the default store, the embedded Redis")] = (
        ".modelane"
    )
    store_url: Annotated[
        str, Meta(description="model store, a folder or `file://` URL; empty: `models` in home")
    ] = ""
    signing_key: Annotated[
        str,
        Meta(description="trainer's private key file; empty: `keys/signing.pem` in home"),
    ] = ""
    trusted_keys: Annotated[
        str,
        Meta(description="public keys that workers trust; empty: `keys/trusted.pem` in home"),
    ] = ""
    recipes: Annotated[str, Meta(description="folder where a trainer finds `MODEL.py`")] = "recipes"
    max_batch_rows: Annotated[Count, Meta(description="rows that one predict may take")] = 4096
    max_batch_requests: Annotated[
        Annotated[int, Meta(ge=1, le=2000)], Meta(description="requests that one batch may answer")
    ] = 1024
    max_batch_bytes: Annotated[Count, Meta(description="bytes of messages that one batch may hold")] = (
        64 * 2**20
    )
    max_request_bytes: Annotated[
        Count, Meta(description="bytes of one message, as it lies in Redis and when it is decompressed")
    ] = 32 * 2**20
    max_depth: Annotated[Count, Meta(description="messages that may wait in a lane before `put` refuses")] = (
        100_000
    )
    max_attempts: Annotated[
        Count, Meta(description="workers that a request may lose before it is buried")
    ] = 3
    lease_s: Annotated[
        Annotated[float, Meta(ge=0.1, le=_DAY_S)],
        Meta(description="how long a lost worker's requests wait for another, in seconds"),
    ] = 30.0
    tick_s: Annotated[
        Pause,
        Meta(description="how often an idle lane looks for expired leases and ETAs, in seconds"),
    ] = 0.5
    predict_limit_s: Annotated[
        Limit, Meta(description="a batch that computes longer ends its worker, in seconds")
    ] = 300.0
    retrain_limit_s: Annotated[
        Limit, Meta(description="a retraining that runs longer is ended, in seconds")
    ] = 6 * 3600.0
    retrain_limit_mb: Annotated[
        Annotated[int, Meta(ge=0, le=2**40)],
        Meta(
            description="memory that a retraining may take with all its processes, in MiB; "
            "0: four fifths of the machine or container"
        ),
    ] = 0
    keep_versions: Annotated[
        Count,
        Meta(description="newest versions of a model that are kept; those in use are never removed"),
    ] = 10
    result_ttl_s: Annotated[Lifetime, Meta(description="how long an answer is kept in Redis, in seconds")] = (
        3600.0
    )
    store_poll_s: Annotated[
        Annotated[float, Meta(ge=0.01, le=_DAY_S)],
        Meta(description="how often a worker looks for a new champion, in seconds"),
    ] = 2.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read ``MODELANE_*`` from ``environ``; unset ones keep their default, unknown ones warn."""
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        values: dict[str, object] = {}
        for variable, value in environ.items():
            if not variable.startswith(ENV_PREFIX):
                continue
            field = fields.get(variable.removeprefix(ENV_PREFIX).lower())
            if field is None:
                warnings.warn(f"{variable} is set, but Modelane has no such setting", stacklevel=2)
                continue
            try:
                converted = msgspec.convert(value, field.type, strict=False)
            except msgspec.ValidationError as exc:
                raise SettingsError(f"{variable}={value!r}: {_in_words(exc)}") from exc
            values[field.name] = converted
        settings = cls(**values)  # type: ignore[arg-type]  # each value was checked against its field
        settings._check()
        return settings

    def to_env(self) -> dict[str, str]:
        """The environment that gives a child process these settings."""
        return {ENV_PREFIX + name.upper(): str(value) for name, value in msgspec.structs.asdict(self).items()}

    @property
    def has_lanes(self) -> bool:
        """Whether the broker is one that lanes run on; on another one Celery consumes by itself."""
        return _scheme(self.broker_url) in LANE_SCHEMES

    @property
    def home_path(self) -> Path:
        return Path(self.home)

    @property
    def store_path(self) -> Path:
        """The store's folder.  Other schemes are refused: object stores are not built yet."""
        if not self.store_url:
            return self.home_path / "models"
        if _scheme(self.store_url) == "file":
            return Path(url2pathname(urlsplit(self.store_url).path))
        return Path(self.store_url)

    @property
    def signing_key_path(self) -> Path:
        return Path(self.signing_key) if self.signing_key else self.home_path / "keys/signing.pem"

    @property
    def trusted_keys_path(self) -> Path:
        return Path(self.trusted_keys) if self.trusted_keys else self.home_path / "keys/trusted.pem"

    def _check(self) -> None:
        """No URL is repeated in an error: it may hold a password."""
        # Celery's result backend appends "_" to any other prefix, kombu does not: the two would part.
        if not _PREFIX.fullmatch(self.prefix):
            raise SettingsError(
                f"MODELANE_PREFIX={self.prefix!r:.80}: expected letters, digits and : _ - . "
                "and must end with one of the latter, like shop:"
            )
        if (scheme := _scheme(self.broker_url)) not in LANE_SCHEMES | OTHER_SCHEMES:
            raise SettingsError(
                f"MODELANE_BROKER_URL starts with {scheme + '://' if scheme else 'no scheme'}: "
                "expected redis://HOST:PORT/DB or rediss://…, or, without lanes, amqp://… or amqps://…"
            )
        if not _is_sound(self.broker_url):
            raise SettingsError(
                f"MODELANE_BROKER_URL cannot be read: expected {scheme}://USER:PASSWORD@HOST:PORT/DB, "
                "where all but HOST may be left out; write / # ? @ in a password as %2F %23 %3F %40"
            )
        if self.result_url and self.has_lanes:
            raise SettingsError(
                "MODELANE_RESULT_URL is set, but lanes store answers on the Redis of MODELANE_BROKER_URL; "
                "it is for other brokers"
            )
        if (scheme := _scheme(self.store_url)) not in {"", "file"}:
            raise SettingsError(
                f"MODELANE_STORE_URL: {scheme}:// stores do not exist yet; give a folder or a file:// URL"
            )
        if scheme == "file" and not re.match("file:///[^/]", self.store_url):
            raise SettingsError(
                "MODELANE_STORE_URL names a host or no folder: expected three slashes, file:///srv/models"
            )


def _scheme(url: str) -> str:
    """What stands before ``:``; empty for a path.  Unlike urlsplit it takes whatever follows."""
    return matched[1].lower() if (matched := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)) else ""


def _is_sound(url: str) -> bool:
    """Whether host and port can be told from each other."""
    try:
        urlsplit(url).port  # noqa: B018  # looking at it is what raises
    except ValueError:
        return False
    return True


def _in_words(exc: msgspec.ValidationError) -> str:
    return (
        str(exc)
        .replace("Expected `int`", "expected a whole number")
        .replace("Expected `float`", "expected a number")
        .replace(", got `str`", "")
    )
