"""docker-compose.yml and the Dockerfiles: no container engine runs here, so each name is resolved."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import redis
import yaml
from celery.app.utils import find_app
from celery.bin.celery import celery as celery_command

from modelane.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"

COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
IMAGES = ["worker", "training"]

every_service = pytest.mark.parametrize("name", SERVICES)
every_image = pytest.mark.parametrize("image", IMAGES)


def test_the_file_matches_the_compose_schema():
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_there_are_five_services():
    assert list(SERVICES) == ["redis", "worker", "trainer", "beat", "flower"]


@every_service
def test_each_service_has_a_comment_of_one_line(name):
    before = FILE.read_text().partition(f"\n  {name}:\n")[0].splitlines()

    assert before[-1].startswith("  # ")
    assert not before[-2].startswith("  #")


@every_service
def test_each_service_restarts_and_refers_to_existing_services_and_files(name):
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert ("image" in service) != ("build" in service)
    assert set(service.get("depends_on", {})) <= SERVICES.keys()
    for target in service.get("depends_on", {}):
        assert "healthcheck" in SERVICES[target]
    if "build" in service:
        assert (ROOT / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def test_all_volumes_are_mounted_and_all_mounts_are_declared():
    mounted = {source for name in SERVICES for source, *_ in mounts(name) if "/" not in source}

    assert mounted == COMPOSE["volumes"].keys()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        pytest.param(name, command, id=f"{name}: {' '.join(command[:4])}")
        for name, service in SERVICES.items()
        for command in (service["command"], service.get("healthcheck", {}).get("test", ["CMD"])[1:])
        for command in [command[0].split() if len(command) == 1 else command]
        if command and command[0] == "celery"
    ],
)
def test_each_celery_command_resolves(name, command, monkeypatch):
    for variable, value in environment(name).items():
        monkeypatch.setenv(variable, value)

    assert_celery_resolves(command)


def test_redis_accepts_its_options(redis_server):
    program, *options = SERVICES["redis"]["command"]

    assert program == "redis-server"
    wanted = dict(zip(options[::2], options[1::2], strict=True))
    assert wanted["--appendonly"] == "yes"
    with redis.Redis.from_url(redis_server.url) as client:
        for option, value in wanted.items():
            assert client.config_set(option.removeprefix("--"), value)
        client.config_set("appendonly", "no")


@every_service
def test_each_modelane_variable_is_a_setting(name):
    given = {
        variable: value for variable, value in environment(name).items() if variable.startswith(ENV_PREFIX)
    }

    with warnings.catch_warnings(action="error"):
        settings = Settings.from_env(given)

    if "build" in SERVICES[name]:
        assert settings.broker_url == "redis://redis:6379/0"
        assert settings.store_path == Path("/models")


def test_only_the_trainer_has_the_private_key():
    settings = Settings.from_env(environment("trainer"))
    holders = {
        name
        for name in SERVICES
        for _, target, _ in mounts(name)
        if settings.signing_key_path.is_relative_to(target)
    }

    assert holders == {"trainer"}


def test_the_worker_mounts_the_store_that_the_trainer_writes():
    settings = Settings.from_env(environment("worker"))
    reads = {target: (source, mode) for source, target, mode in mounts("worker")}
    writes = {target: (source, mode) for source, target, mode in mounts("trainer")}

    for path in (settings.store_path, settings.trusted_keys_path.parent):
        assert reads[str(path)] == (writes[str(path)][0], "ro")
        assert writes[str(path)][1] == "rw"


def test_flower_does_not_start_without_a_password():
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_BASIC_AUTH:?")


@every_service
def test_ports_are_published_on_loopback_only(name):
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@every_image
def test_each_dockerfile_copies_existing_files_and_installs_an_extra(image, pyproject):
    text = (ROOT / image / "Dockerfile").read_text()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]

    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert set(re.findall(r"--extra (\w+)", text)) == {image}
    assert image in pyproject["project"]["optional-dependencies"]


@every_image
def test_each_image_runs_as_an_unprivileged_user_with_a_command_that_resolves(image):
    last_stage = (ROOT / image / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    command = re.search(r"^CMD (\[.*\])$", last_stage, re.MULTILINE)

    assert re.search(r"^USER modelane$", last_stage, re.MULTILINE)
    assert command
    assert_celery_resolves(yaml.safe_load(command[1]))


@every_service
def test_each_image_creates_the_folders_of_its_volumes(name):
    service = SERVICES[name]
    if "build" not in service:
        return
    made = (ROOT / service["build"]["dockerfile"]).read_text()

    for source, target, _ in mounts(name):
        assert source.startswith(".") or f" {target}" in made


def assert_celery_resolves(command: list[str]) -> None:
    """Check that Celery accepts the application, the subcommand and its options."""
    program, flag, package, subcommand, *options = command
    assert (program, flag) == ("celery", "-A")
    app = find_app(package)
    assert app.main
    if subcommand == "flower":
        known = set(import_module("flower.options").options)
        assert {option.partition("=")[0].removeprefix("--") for option in options} <= known
        return
    context = click.Context(
        celery_command, obj=import_module("celery.bin.base").CLIContext(app=app, no_color=True, workdir=None)
    )
    found = celery_command.get_command(context, subcommand)
    assert found is not None
    found.make_context(subcommand, list(options), parent=context)


def environment(name: str) -> dict[str, str]:
    return dict(SERVICES[name].get("environment", {}))


def mounts(name: str) -> Iterator[tuple[str, str, str]]:
    """Return (source, target, mode) of each volume."""
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        yield source, target, mode[0] if mode else "rw"
