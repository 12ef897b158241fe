"""Requests that have waited for some time: does any worker know their model, and serve it?

A request with a mistyped model name waits in a lane that no worker reads. If workers are running, and the
name was never published nor announced, its requests are withdrawn and fail; except those that a worker has
started, so that a model which was published a moment ago is never refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from modelane.broker.request_control import RequestControl
from modelane.broker.served_models import not_served
from modelane.client.prediction import Prediction
from modelane.errors import UnknownModel
from modelane.keys import lane_of

#: Age in seconds at which a request is checked: longer than a worker takes to notice a new model, even if it
#: has to look for it by itself (``store_poll_s``).
CHECK_AFTER_S = 3.0
#: Requests of one lane that are checked, and withdrawn, together.
MAX_REQUESTS = 500


class UnknownModels:
    """Fails the requests of unknown models.

    Args:
        requests: withdraws them.
    """

    def __init__(self, requests: RequestControl) -> None:
        self._requests = requests

    def check(self, pending: Iterable[Prediction[Any]]) -> None:
        """Fail futures whose model is unknown, and note it for timeouts if no worker serves it now.

        Raises:
            BrokerUnavailable: Redis does not answer.
            BrokerRefused: Redis does not allow it.
        """
        before_s = time.monotonic() - CHECK_AFTER_S
        waiting: dict[str, list[Prediction[Any]]] = {}
        for prediction in pending:
            if prediction.queue and prediction.sent and prediction.submitted_s < before_s:
                waiting.setdefault(prediction.queue, []).append(prediction)
        for queue, predictions in waiting.items():
            if (model := lane_of(queue)) is not None:
                self._check_model(model, predictions[:MAX_REQUESTS])

    def _check_model(self, model: str, predictions: list[Prediction[Any]]) -> None:
        status = self._requests.withdraw_unknown(model, [prediction.id for prediction in predictions])
        if not status.is_known:
            for prediction in predictions:
                if prediction.id in status.withdrawn:
                    prediction.fail(UnknownModel(not_served(model, status.served)))
        elif not status.is_served:
            hint = not_served(model, status.served)
            for prediction in predictions:
                prediction.timeout_hint = hint
