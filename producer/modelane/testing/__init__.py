"""A client without Redis and without a worker: the models answer in this process.

    from modelane import testing

    client = testing.Client({"churn": estimator})        # or a callable, rows → one output a row
    client.predict("churn", rows)
    with client.lanes.held():                            # nothing is begun meanwhile
        client.submit("churn", rows).cancel()
    client.lanes.delay_s = 0.1                           # as behind a busy worker
    client.lanes.fail(errors.Expired("too late"))        # how the next request ends

Options, errors, futures and answers are those of :class:`modelane.Client`, for it is that client, with its
messages, and the worker's own code behind them; in between, a dictionary takes the place of Redis.
"""

from __future__ import annotations

from modelane.testing.client import Client
from modelane.testing.fake_lanes import Lanes

__all__ = ["Client", "Lanes"]
