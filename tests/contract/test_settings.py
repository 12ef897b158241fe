"""Settings: from the environment, refused in words, told in the README."""

import re
from pathlib import Path

import msgspec
import pytest

from modelane.errors import SettingsError
from modelane.settings import ENV_PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"


def test_unset_variables_keep_their_defaults():
    assert Settings.from_env({}) == Settings()


def test_a_variable_is_read_in_its_own_type():
    settings = Settings.from_env({"MODELANE_LEASE_S": "2.5", "MODELANE_MAX_BATCH_ROWS": "16"})

    assert (settings.lease_s, settings.max_batch_rows) == (2.5, 16)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MODELANE_MAX_BATCH_ROWS", "lots", "expected a whole number"),
        ("MODELANE_MAX_BATCH_ROWS", "0", ">= 1"),
        ("MODELANE_LEASE_S", "-3", "> 0"),
        ("MODELANE_LEASE_S", "soon", "expected a number"),
        ("MODELANE_LEASE_S", "nan", "expected a number"),
        ("MODELANE_LEASE_S", "inf", "finite"),
        ("MODELANE_BROKER_URL", "kafka://somewhere", "expected redis://"),
        ("MODELANE_RESULT_URL", "redis://somewhere", "for other brokers"),
        ("MODELANE_STORE_URL", "s3://bucket/models", "do not exist yet"),
        ("MODELANE_PREFIX", "shop", "must end with"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_and_what_is_expected(variable, value, words):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({variable: value})

    assert variable in str(refused.value)
    assert words in str(refused.value)


def test_an_unknown_variable_is_a_warning_because_it_is_a_typing_error():
    with pytest.warns(UserWarning, match="MODELANE_LEESE_S"):
        Settings.from_env({"MODELANE_LEESE_S": "3"})


def test_a_child_process_gets_the_same_settings():
    settings = Settings(lease_s=3.25, prefix="shop:", broker_url="redis://h:1/2")

    assert Settings.from_env(settings.to_env()) == settings


def test_another_broker_is_taken_but_has_no_lanes():
    other = Settings.from_env({"MODELANE_BROKER_URL": "amqp://host", "MODELANE_RESULT_URL": "redis://host"})

    assert not other.has_lanes
    assert Settings().has_lanes


def test_a_password_in_the_broker_url_is_not_repeated_in_an_error():
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"MODELANE_BROKER_URL": "http://user:geheim@host"})

    assert "geheim" not in str(refused.value)


def test_the_store_may_be_a_folder_or_a_file_url():
    assert Settings(home="h").store_path == Path("h/models")
    assert Settings(store_url="/srv/models").store_path == Path("/srv/models")
    assert Settings(store_url="file:///srv/models").store_path == Path("/srv/models")


def test_the_readme_has_every_setting_with_its_default_and_meaning():
    rows = dict(re.findall(r"^\| `(MODELANE_\w+)` \| (.+) \|$", README.read_text(), re.MULTILINE))

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
