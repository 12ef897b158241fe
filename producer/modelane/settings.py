"""The settings of all programs, read from the environment.

The setting ``lease_s`` is the environment variable ``MODELANE_LEASE_S``. Settings that a worker or a trainer
needs beyond Celery's own options are here too, so that one table (docs/reference/settings.md) serves a whole
fleet.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
from msgspec import Meta

from modelane.errors import SettingsError
from modelane.urls import LANE_SCHEMES, check_broker_url, check_store_url, scheme_of

ENV_PREFIX = "MODELANE_"

_DAY_S = 86_400.0

#: Interval between two checks: long enough not to be a busy loop, and shorter than any socket timeout.
Pause = Annotated[float, Meta(ge=0.01, le=60.0)]
#: Longest duration of a computation; more than a month is taken for a typing error.
Limit = Annotated[float, Meta(ge=0.1, le=31 * _DAY_S)]
#: How long a key is kept; Redis expires keys with a resolution of seconds.
Lifetime = Annotated[float, Meta(ge=1.0, le=366 * _DAY_S)]
#: A positive integer that Lua represents exactly.
Count = Annotated[int, Meta(ge=1, le=2**53)]

_PREFIX = re.compile(r"([A-Za-z0-9:_.-]*[:_.-])?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings shared by services, workers and trainers; docs/reference/settings.md describes each of them.

    The constructor checks neither types nor ranges; :meth:`from_env` does. Instances are immutable: make a
    changed copy with ``msgspec.structs.replace(settings, lease_s=10.0)``. Fields that end with ``_s`` are
    seconds, those that end with ``_mb`` MiB.
    """

    broker_url: Annotated[
        str,
        Meta(description="Redis that carries queues, results and events; `rediss://` for TLS"),
    ] = "redis://127.0.0.1:6379/0"
    result_url: Annotated[
        str,
        Meta(description="Celery result backend for brokers other than Redis; empty: `rpc://`"),
    ] = ""
    prefix: Annotated[
        str,
        Meta(
            description="prefix of every Redis key and channel: letters, digits and `: _ - .`, "
            "ending with one of `: _ - .`"
        ),
    ] = ""
    home: Annotated[str, Meta(description="data folder: keys, default model store, embedded Redis")] = (
        ".modelane"
    )
    store_url: Annotated[
        str, Meta(description="model store: a folder or `file://` URL; empty: `models` in `MODELANE_HOME`")
    ] = ""
    signing_key: Annotated[
        str,
        Meta(description="trainer's private key file; empty: `keys/signing.pem` in `MODELANE_HOME`"),
    ] = ""
    trusted_keys: Annotated[
        str,
        Meta(
            description="file of public keys that workers trust; empty: `keys/trusted.pem` in `MODELANE_HOME`"
        ),
    ] = ""
    recipes: Annotated[str, Meta(description="folder in which trainers look for `MODEL.py`")] = "recipes"
    max_batch_rows: Annotated[Count, Meta(description="maximum rows per call of the model")] = 4096
    max_batch_requests: Annotated[
        Annotated[int, Meta(ge=1, le=2000)], Meta(description="maximum requests per batch")
    ] = 1024
    max_batch_bytes: Annotated[Count, Meta(description="maximum bytes of messages per batch")] = 64 * 2**20
    max_request_bytes: Annotated[
        Count, Meta(description="maximum bytes of one message, in Redis and after decompression")
    ] = 32 * 2**20
    max_depth: Annotated[
        Count, Meta(description="maximum messages that wait in a lane; further requests are refused")
    ] = 100_000
    max_attempts: Annotated[
        Count, Meta(description="a request that has lost this many workers becomes a dead letter")
    ] = 3
    lease_s: Annotated[
        Annotated[float, Meta(ge=0.1, le=_DAY_S)],
        Meta(description="seconds after which the requests of a lost worker return to their lane"),
    ] = 30.0
    tick_s: Annotated[
        Pause,
        Meta(description="seconds between an idle lane's checks for expired leases and ETAs"),
    ] = 0.5
    predict_limit_s: Annotated[
        Limit, Meta(description="seconds that a batch may compute; a worker that takes longer exits")
    ] = 300.0
    retrain_limit_s: Annotated[
        Limit, Meta(description="seconds that a retraining may run before it is stopped")
    ] = 6 * 3600.0
    retrain_limit_mb: Annotated[
        Annotated[int, Meta(ge=0, le=2**40)],
        Meta(
            description="memory limit of a retraining with all its processes, in MiB; "
            "0: four fifths of the machine or container"
        ),
    ] = 0
    keep_versions: Annotated[
        Count,
        Meta(description="number of newest versions kept of each model; versions in use are never removed"),
    ] = 10
    result_ttl_s: Annotated[Lifetime, Meta(description="seconds that an answer is kept in Redis")] = 3600.0
    store_poll_s: Annotated[
        Annotated[float, Meta(ge=0.01, le=_DAY_S)],
        Meta(description="seconds between a worker's checks for a new champion"),
    ] = 2.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the ``MODELANE_*`` variables of an environment.

        Unset variables keep their default. A ``MODELANE_*`` variable that is not a setting is a warning.

        Args:
            environ: variable → value, such as ``os.environ``.

        Returns:
            The checked settings.

        Raises:
            SettingsError: a value is of the wrong type, out of range or contradicts another one. The message
                names the variable and what was expected.
        """
        fields = {ENV_PREFIX + field.name.upper(): field for field in msgspec.structs.fields(cls)}
        values: dict[str, object] = {}
        for variable, value in environ.items():
            if not variable.startswith(ENV_PREFIX):
                continue
            field = fields.get(variable.upper())
            if field is None:
                near = get_close_matches(variable, fields, 1)
                hint = f"did you mean {near[0]}?" if near else "see docs/reference/settings.md"
                warnings.warn(f"{variable} is not a setting of Modelane and is ignored: {hint}", stacklevel=2)
                continue
            try:
                values[field.name] = msgspec.convert(value, field.type, strict=False)
            except msgspec.ValidationError as exc:
                raise SettingsError(f"{variable}={value!r}: {_expectation(exc)}") from exc
        settings = cls(**values)  # type: ignore[arg-type]  # each value was checked against its field
        settings._check()
        return settings

    def to_env(self) -> dict[str, str]:
        """Return the environment variables from which :meth:`from_env` reads these settings."""
        return {ENV_PREFIX + name.upper(): str(value) for name, value in msgspec.structs.asdict(self).items()}

    @property
    def has_lanes(self) -> bool:
        """Whether the broker is Redis, which lanes need; on other brokers Celery's own consumer is used."""
        return scheme_of(self.broker_url) in LANE_SCHEMES

    @property
    def home_path(self) -> Path:
        """The data folder."""
        return Path(self.home)

    @property
    def store_path(self) -> Path:
        """The folder of the model store."""
        if not self.store_url:
            return self.home_path / "models"
        if scheme_of(self.store_url) == "file":
            return Path(url2pathname(urlsplit(self.store_url).path))
        return Path(self.store_url)

    @property
    def signing_key_path(self) -> Path:
        """The trainer's private key file."""
        return Path(self.signing_key) if self.signing_key else self.home_path / "keys/signing.pem"

    @property
    def trusted_keys_path(self) -> Path:
        """The file of public keys that workers trust."""
        return Path(self.trusted_keys) if self.trusted_keys else self.home_path / "keys/trusted.pem"

    def _check(self) -> None:
        # Celery's result backend appends "_" to a prefix that ends otherwise, and kombu does not: their keys
        # would differ.
        if not _PREFIX.fullmatch(self.prefix):
            raise SettingsError(
                f"MODELANE_PREFIX={self.prefix!r:.80}: expected letters, digits and : _ - . only, "
                "ending with one of : _ - . such as shop:"
            )
        check_broker_url(self.broker_url)
        if self.result_url and self.has_lanes:
            raise SettingsError(
                "MODELANE_RESULT_URL is only for brokers other than Redis, but MODELANE_BROKER_URL is Redis, "
                "where lanes store their answers: unset MODELANE_RESULT_URL"
            )
        check_store_url(self.store_url)


def _expectation(exc: msgspec.ValidationError) -> str:
    return (
        str(exc)
        .replace("Expected `int`", "expected a whole number")
        .replace("Expected `float`", "expected a number")
        .replace(", got `str`", "")
    )
