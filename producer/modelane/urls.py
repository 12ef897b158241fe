"""Check the URLs among the settings.

No error repeats a URL: it may hold a password.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from modelane.errors import SettingsError

#: Brokers that lanes run on.
LANE_SCHEMES = frozenset({"redis", "rediss"})
#: Brokers on which Celery's own consumer takes the place of lanes (docs/how-to/other-brokers.md).
OTHER_SCHEMES = frozenset({"amqp", "amqps", "memory"})


def scheme_of(url: str) -> str:
    """Return the lower-case scheme of a URL, or an empty string for a path.

    Unlike ``urlsplit`` it accepts anything after the colon.
    """
    return matched[1].lower() if (matched := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)) else ""


def check_broker_url(url: str) -> None:
    """Check the scheme of the broker's URL and that its host and port can be told apart.

    Raises:
        SettingsError: MODELANE_BROKER_URL has another scheme or cannot be parsed.
    """
    scheme = scheme_of(url)
    if scheme not in LANE_SCHEMES | OTHER_SCHEMES:
        raise SettingsError(
            f"MODELANE_BROKER_URL has {f'the scheme {scheme}://' if scheme else 'no scheme'}: "
            "expected redis://HOST:PORT/DB or rediss://HOST:PORT/DB (amqp:// and amqps:// run without lanes)"
        )
    try:
        urlsplit(url).port  # noqa: B018  # reading it parses host and port
    except ValueError:
        # Without its cause, which repeats parts of the URL.
        raise SettingsError(
            f"MODELANE_BROKER_URL cannot be parsed: expected {scheme}://USER:PASSWORD@HOST:PORT/DB, of which "
            "only HOST is required; in a password, write / # ? @ as %2F %23 %3F %40"
        ) from None


def check_store_url(url: str) -> None:
    """Check that the model store is a folder or a complete ``file://`` URL.

    Raises:
        SettingsError: MODELANE_STORE_URL has another scheme, or a host, or no folder.
    """
    scheme = scheme_of(url)
    if scheme not in {"", "file"}:
        raise SettingsError(
            f"MODELANE_STORE_URL has the scheme {scheme}://, which is not supported: "
            "expected a folder or a file:// URL, such as file:///srv/models"
        )
    if scheme == "file" and not re.match("file:///[^/]", url):
        raise SettingsError(
            "MODELANE_STORE_URL is a file URL with a host or without a folder: "
            "expected three slashes and a folder, such as file:///srv/models"
        )
