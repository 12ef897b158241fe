"""A real Redis and a real worker for tests. pytest offers them as the fixture ``modelane_stack``.

with Stack() as stack:
    stack.publish("churn", estimator, example_rows)
    stack.client().predict("churn", rows)
"""

from modelane_worker.testkit.worker_stack import Stack

__all__ = ["Stack"]
