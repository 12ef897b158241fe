"""The wheel's content, an editable install, and a base install without extras.

No network and no installer is needed: hatchling builds in this environment, and an environment that
holds the base requirements alone is made of links to what is installed here.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

import pytest
from hatchling import build
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = {"modelane", "modelane_worker", "modelane_training"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    with contextlib.chdir(ROOT):
        return zipfile.ZipFile(folder / build.build_wheel(str(folder)))


@pytest.fixture(scope="session")
def names(wheel) -> set[PurePosixPath]:
    return {PurePosixPath(name) for name in wheel.namelist()}


@pytest.fixture(scope="session")
def metadata(wheel) -> Message:
    (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(path).decode())


@pytest.fixture(scope="session")
def base_install(wheel, metadata, tmp_path_factory) -> Path:
    """Return a folder with the wheel and exactly its requirements without extras."""
    folder = tmp_path_factory.mktemp("base")
    wheel.extractall(folder)
    for required in closure(metadata.get_all("Requires-Dist", [])).values():
        for top in {file.parts[0] for file in required.files or () if file.parts[0] != ".."}:
            link = folder / top
            if not link.exists():
                link.symlink_to(required.locate_file(top))
    return folder


def test_the_wheel_contains_only_the_three_packages(names):
    tops = {name.parts[0] for name in names}

    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_the_wheel_contains_every_file_of_the_source_tree(names):
    kept = {".py", ".lua", ".typed"}
    for package in PACKAGES:
        (folder,) = ROOT.glob(f"*/{package}")
        source = {path for path in folder.rglob("*") if path.is_file() and path.suffix in kept}
        assert {PurePosixPath(path.relative_to(folder.parent)) for path in source} <= names
    assert any(name.suffix == ".lua" for name in names)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_each_package_is_marked_as_typed(names, package):
    assert PurePosixPath(package, "py.typed") in names


def test_the_wheel_contains_no_tests_and_no_bytecode(names):
    for name in names:
        assert not {"tests", "__pycache__"} & set(name.parts)
        assert not name.name.startswith("test_")


def test_the_wheel_contains_its_licence(wheel, names):
    (licence,) = (str(name) for name in names if name.parts[-2:] == ("licenses", "LICENSE"))

    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in wheel.read(licence)


def test_the_wheel_installs_the_console_script(wheel, names):
    (entry_points,) = (str(name) for name in names if name.name == "entry_points.txt")

    assert "modelane = modelane.cli:main" in wheel.read(entry_points).decode()


def test_the_three_top_folders_are_not_packages():
    for folder in ("producer", "worker", "training"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_an_editable_install_imports_the_source_tree(tmp_path):
    with contextlib.chdir(ROOT):
        name = build.build_editable(str(tmp_path))
    zipfile.ZipFile(tmp_path / name).extractall(tmp_path)

    said = run_alone(
        f"import site; site.addsitedir({str(tmp_path)!r})",
        *(f"import importlib.util as u; print(u.find_spec({p!r}).origin)" for p in sorted(PACKAGES)),
    )

    assert said.splitlines() == [
        str(next(ROOT.glob(f"*/{package}")) / "__init__.py") for package in sorted(PACKAGES)
    ]


def test_the_base_install_does_not_require_scikit_learn(metadata):
    required = closure(metadata.get_all("Requires-Dist", []))

    assert {"celery", "redis", "numpy", "msgspec", "click"} <= required.keys()
    assert not {"scikit-learn", "joblib", "scipy", "cryptography", "flower"} & required.keys()


def test_a_service_can_import_modelane_from_the_base_install(base_install):
    said = run_alone(
        f"import sys; sys.path.insert(0, {str(base_install)!r})",
        "import modelane",
        "print(modelane.__file__)",
        "print({'sklearn', 'joblib'} & set(sys.modules))",
    )

    assert said.splitlines() == [str(base_install / "modelane" / "__init__.py"), "set()"]


def test_importing_modelane_loads_neither_scikit_learn_nor_joblib_where_they_are_installed():
    said = subprocess.run(
        [sys.executable, "-c", "import modelane, sys; print({'sklearn', 'joblib'} & {*sys.modules})"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "set()\n"


@pytest.mark.parametrize(
    ("package", "extra"), [("modelane_worker", "worker"), ("modelane_training", "training")]
)
def test_a_package_that_needs_an_extra_names_it_in_the_error(base_install, package, extra):
    said = run_alone(
        f"import sys; sys.path.insert(0, {str(base_install)!r})",
        # This is how `celery -A PACKAGE` looks for an application.
        f"try:\n    import {package}\n    {package}.app\nexcept ImportError as exc:\n    print(exc)",
    )

    assert package in said
    assert f'pip install "modelane[{extra}]"' in said


def test_a_service_can_be_tested_in_the_base_install(base_install):
    said = run_alone(
        f"import sys; sys.path.insert(0, {str(base_install)!r})",
        "from modelane import testing",
        "with testing.Client({'sums': lambda rows: rows.sum(axis=1)}) as client:",
        "    print(client.predict('sums', [[1.0, 2.0]]).values)",
    )

    assert said == "[3.]\n"


def test_the_command_line_works_in_the_base_install(base_install):
    run = f"import sys; sys.path.insert(0, {str(base_install)!r})\nfrom modelane.cli import main"

    listed = run_alone(run, "main(['--help'], prog_name='modelane')")
    refused = run_alone(run, "main(['train', 'recipe.py'], prog_name='modelane')", code=1)

    stack = run_alone(run, "main(['up'], prog_name='modelane')", code=1)

    remedy = 'install them with pip install "modelane[all]"'
    assert stack == f"Error: the worker and Flower are not installed: {remedy}\n"
    assert "\n  up " in listed
    assert "\n  retrain " in listed
    assert refused.startswith("Error: `modelane train` needs more packages: ")
    assert 'pip install "modelane[training]"' in refused
    assert "Traceback" not in refused


def run_alone(*lines: str, code: int = 0) -> str:
    """Return the output of a Python that has only its standard library."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "\n".join(lines)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == code, run.stdout
    return run.stdout


def closure(lines: list[str]) -> dict[str, Distribution]:
    """Return all requirements of the requirements, without extras that were not requested."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(line, "") for line in lines]
    while todo:
        line, extra = todo.pop()
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in {"", *requirement.extras}:
            if (requirement.name, wanted) not in seen:
                seen.add((requirement.name, wanted))
                found[requirement.name.lower()] = distribution(requirement.name)
                todo += [(line, wanted) for line in distribution(requirement.name).requires or ()]
    return found
