"""Settings: from the environment, refused with a clear error, documented."""

import re
import traceback
from pathlib import Path

import msgspec
import pytest

from modelane.broker.connection import connect
from modelane.errors import SettingsError
from modelane.settings import ENV_PREFIX, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_unset_variables_keep_their_defaults():
    assert Settings.from_env({}) == Settings()


def test_a_variable_is_converted_to_the_type_of_its_setting():
    settings = Settings.from_env({"MODELANE_LEASE_S": "2.5", "MODELANE_MAX_BATCH_ROWS": "16"})

    assert (settings.lease_s, settings.max_batch_rows) == (2.5, 16)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MODELANE_MAX_BATCH_ROWS", "lots", "expected a whole number"),
        ("MODELANE_MAX_BATCH_ROWS", "0", ">= 1"),
        ("MODELANE_MAX_DEPTH", "1" + "0" * 30, "expected a whole number"),
        ("MODELANE_LEASE_S", "-3", "expected a number >= 0.1"),
        ("MODELANE_LEASE_S", "1e-9", "expected a number >= 0.1"),
        ("MODELANE_LEASE_S", "1e300", "expected a number <= 86400.0"),
        ("MODELANE_TICK_S", "1e300", "expected a number <= 60.0"),
        ("MODELANE_TICK_S", "0", "expected a number >= 0.01"),
        ("MODELANE_RESULT_TTL_S", "1e30", "expected a number <= 31622400.0"),
        ("MODELANE_RESULT_TTL_S", "0.5", "expected a number >= 1.0"),
        ("MODELANE_PREDICT_LIMIT_S", "1e9", "expected a number <= 2678400.0"),
        ("MODELANE_STORE_POLL_S", "1e9", "expected a number <= 86400.0"),
        ("MODELANE_LEASE_S", "soon", "expected a number"),
        ("MODELANE_LEASE_S", "nan", "expected a number"),
        ("MODELANE_LEASE_S", "inf", "expected a number"),
        ("MODELANE_BROKER_URL", "kafka://somewhere", "expected redis://"),
        ("MODELANE_BROKER_URL", "redis://h:abc/0", "cannot be parsed"),
        ("MODELANE_BROKER_URL", "redis://[::1", "cannot be parsed"),
        ("MODELANE_BROKER_URL", "amqp://h:abc", "cannot be parsed"),
        ("MODELANE_RESULT_URL", "redis://somewhere", "only for brokers other than Redis"),
        ("MODELANE_STORE_URL", "s3://bucket/models", "which is not supported"),
        ("MODELANE_STORE_URL", "file://models", "three slashes"),
        ("MODELANE_STORE_URL", "file://rel/models", "three slashes"),
        ("MODELANE_STORE_URL", "file:models", "three slashes"),
        ("MODELANE_STORE_URL", "file:///", "three slashes"),
        ("MODELANE_PREFIX", "shop", "ending with one of"),
        ("MODELANE_PREFIX", "sh op:", "expected letters, digits"),
        ("MODELANE_PREFIX", "shop:\n", "expected letters, digits"),
        ("MODELANE_PREFIX", "{shop}:", "expected letters, digits"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_expected(variable, value, words):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({variable: value})

    assert variable in str(refused.value)
    assert words in str(refused.value)


def test_an_unknown_variable_is_a_warning_with_a_suggestion():
    with pytest.warns(UserWarning, match="MODELANE_LEESE_S is not a setting.*did you mean MODELANE_LEASE_S"):
        Settings.from_env({"MODELANE_LEESE_S": "3"})


def test_a_child_process_gets_the_same_settings():
    settings = Settings(lease_s=3.25, prefix="shop:", broker_url="redis://h:1/2")

    assert Settings.from_env(settings.to_env()) == settings


def test_another_broker_is_accepted_but_has_no_lanes():
    other = Settings.from_env({"MODELANE_BROKER_URL": "amqp://host", "MODELANE_RESULT_URL": "redis://host"})

    assert not other.has_lanes
    assert Settings().has_lanes


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MODELANE_BROKER_URL", "http://user:geheim@host"),
        ("MODELANE_BROKER_URL", "redis://user:geheim#1@host"),
        ("MODELANE_BROKER_URL", "redis://user:geheim@host:abc"),
        ("MODELANE_BROKER_URL", "redis://:geheim@[::1"),
        ("MODELANE_STORE_URL", "s3://AKIA:geheim@bucket/models"),
        ("MODELANE_STORE_URL", "file://user:geheim@host/models"),
    ],
)
def test_a_password_in_a_url_is_not_repeated_in_an_error(variable, value):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({variable: value})

    told = "".join(traceback.format_exception(refused.value))
    assert "geheim" not in told.replace(value, "")


@pytest.mark.parametrize("url", ["redis://h:abc/0", "redis://[::1", "redis://h/0?db=geheim"])
def test_a_url_that_redis_py_cannot_parse_is_a_settings_error(url):
    with pytest.raises(SettingsError, match="MODELANE_BROKER_URL cannot be parsed") as refused:
        connect(Settings(broker_url=url))

    assert "geheim" not in "".join(traceback.format_exception(refused.value))


def test_the_store_may_be_a_folder_or_a_file_url():
    assert Settings(home="h").store_path == Path("h/models")
    assert Settings(store_url="/srv/models").store_path == Path("/srv/models")
    assert Settings(store_url="file:///srv/models").store_path == Path("/srv/models")
    assert Settings(store_url="file:///srv/my%20models").store_path == Path("/srv/my models")
    assert Settings(store_url="/srv/my%20models").store_path == Path("/srv/my%20models")


def test_the_settings_page_has_every_setting_with_its_default_and_meaning():
    rows = dict(re.findall(r"^\| `(MODELANE_\w+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))

    expected = {
        ENV_PREFIX + field.name.upper(): f"{_default(field.default)} | {_meaning(field)}"
        for field in msgspec.structs.fields(Settings)
    }

    assert rows == expected


def _default(value: object) -> str:
    return f"`{value}`" if value != "" else "empty"


def _meaning(field: msgspec.structs.FieldInfo) -> str:
    info = msgspec.inspect.type_info(field.type)
    return info.extra_json_schema["description"]
