"""The worker: lanes that answer predictions inside a Celery worker.

``celery -A modelane_worker worker`` finds its application in :mod:`modelane_worker.celery`.
"""

from importlib.util import find_spec

if missing := [name for name in ("sklearn", "joblib", "cryptography") if find_spec(name) is None]:
    raise ImportError(f'modelane_worker needs {", ".join(missing)}: pip install "modelane[worker]"')
