"""One program for each figure that Modelane promises, on real processes: `uv run python -m benchmarks`.

    models → stage (Redis, workers) → load → a figure's own module → report, plot

Machines differ and are noisy, so a figure is a ratio to something that ran in the same minute: stock Celery,
or the same predict in this process.  Nothing here is a test.
"""
