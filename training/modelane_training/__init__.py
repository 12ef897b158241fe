"""Training: from a recipe to a signed version in the store, in the foreground or from the queue.

``celery -A modelane_training worker`` finds its application in :mod:`modelane_training.celery`.
"""

from importlib.util import find_spec

if missing := [name for name in ("sklearn", "joblib", "cryptography", "rich") if find_spec(name) is None]:
    raise ImportError(f'modelane_training needs {", ".join(missing)}: pip install "modelane[training]"')
