"""The worker: lanes that answer predictions inside a Celery worker.

``celery -A modelane_worker worker`` finds its application in :mod:`modelane_worker.celery`.
"""

from importlib.util import find_spec
from typing import Any

_NEEDED = ("sklearn", "joblib", "cryptography", "pandas")


def __getattr__(name: str) -> Any:
    """Celery looks for ``app`` here before it imports a module that fails in words of its own."""
    if name in ("app", "celery"):
        require("worker")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def require(extra: str) -> None:
    """Raises :class:`ImportError`: a worker could not run; the sentence says what to install."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ImportError(f'modelane_worker needs {", ".join(missing)}: pip install "modelane[{extra}]"')
