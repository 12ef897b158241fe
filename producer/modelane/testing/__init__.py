"""A client for tests that needs neither Redis nor a worker: the models answer in this process.

    from modelane import testing

    client = testing.Client({"churn": estimator})        # or a callable: rows in, one output per row out
    client.predict("churn", rows)
    with client.lanes.held():                            # requests wait in the lane
        client.submit("churn", rows).cancel()
    client.lanes.delay_s = 0.1                           # as if the worker were busy
    client.lanes.fail(errors.Expired("too late"))        # the next request fails with this error

Options, errors, futures and answers are those of :class:`modelane.Client`, because it is that client, with
its messages and the worker's own code; only Redis is replaced by dictionaries.
"""

from __future__ import annotations

from modelane.testing.client import Client
from modelane.testing.fake_lanes import Lanes

__all__ = ["Client", "Lanes"]
