"""The parts of `modelane up` that need no running stack."""

from __future__ import annotations

import json
import socket

import pytest

from modelane.errors import StackError
from modelane.local.health import flower_sees, redis_answers
from modelane.local.log_output import Output
from modelane.local.ready_line import mask_password, models_with_champion
from modelane.local.stack import LocalStack
from modelane.settings import Settings

VERSION = "20261122T113000-00000001"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:p%40ss@host:1/0", "redis://:***@host:1/0"),
        (
            "rediss://ada:p@ss@host/0?ssl_cert_reqs=none",
            "rediss://ada:***@host/0?ssl_cert_reqs=none",
        ),
        ("redis://host/0?db=1&password=p&x=1", "redis://host/0?db=1&password=***&x=1"),
        ("redis://ada@host/0", "redis://ada@host/0"),
    ],
)
def test_passwords_are_masked(url, shown):
    assert mask_password(url) == shown


def test_only_models_with_a_champion_are_listed(tmp_path):
    for model, aliases in {
        "b": json.dumps({"champion": VERSION}),
        "a": json.dumps({"champion": VERSION, "previous": VERSION}),
        "retired": json.dumps({"champion": None}),
        "damaged": "{",
        "strange": "[]",
        "never-promoted": None,
    }.items():
        version = tmp_path / model / VERSION
        version.mkdir(parents=True)
        (version / "card.json").touch()
        (version / "card.sig").touch()
        if aliases is not None:
            (tmp_path / model / "aliases.json").write_text(aliases)
    (tmp_path / "empty").mkdir()

    assert models_with_champion(tmp_path) == ["a", "b"]
    assert models_with_champion(tmp_path / "absent") == []


def test_programs_that_do_not_run_are_not_ready(free_port):
    assert not redis_answers(f"redis://127.0.0.1:{free_port}/0")
    assert not flower_sees(free_port, ["worker@host"])


def test_a_failed_start_releases_the_lock(tmp_path, heard):
    # Given a stack whose port is in use
    settings = Settings(home=str(tmp_path), broker_url="redis://127.0.0.1:1/0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = LocalStack(settings, redis_port=None, flower_port=port, output=Output(heard))
        with pytest.raises(StackError, match=f"port {port} for Flower is already in use: choose"):
            stack.start()

        # When it is started again
        # Then it is refused for the same reason, not because it is already running
        with pytest.raises(StackError, match="is already in use"):
            stack.start()
    assert heard.getvalue() == ""


def test_a_data_folder_that_cannot_be_created_is_reported(tmp_path, heard, free_port):
    (tmp_path / "file").touch()
    settings = Settings(home=str(tmp_path / "file" / "home"))

    with pytest.raises(
        StackError, match=r"cannot write to the data folder .*home \(MODELANE_HOME\): Not a directory"
    ):
        LocalStack(settings, redis_port=free_port, flower_port=1, output=Output(heard)).start()
