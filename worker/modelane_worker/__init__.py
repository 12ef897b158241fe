"""The worker: a Celery worker whose lanes answer predictions.

The application of ``celery -A modelane_worker worker`` is in :mod:`modelane_worker.celery`.
"""

from importlib.util import find_spec
from typing import Any

_NEEDED = ("sklearn", "joblib", "cryptography", "pandas")


def __getattr__(name: str) -> Any:
    """Check the requirements when Celery looks for ``app`` here, before it imports the module that has it."""
    if name in ("app", "celery"):
        require("worker")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def require(extra: str) -> None:
    """Check that the packages of an extra are installed.

    Raises:
        ImportError: one is missing; the message has the command that installs it.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ImportError(f'modelane_worker needs {", ".join(missing)}: pip install "modelane[{extra}]"')
