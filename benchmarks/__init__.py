"""Measure each figure that Modelane promises, on real processes: `uv run python -m benchmarks`.

Each figure has a module with a function ``measure``. It starts Redis and workers (``stage``) with the models
of ``models``, puts them under load (``load``, ``ours``, ``stock``) and returns its lines; ``report`` and
``plot`` show them.

Machines differ and are noisy. A figure is therefore a ratio to something that runs at the same time: stock
Celery, or the same predict in this process. Nothing here is a test.
"""
