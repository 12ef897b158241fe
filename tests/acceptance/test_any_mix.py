"""In any mix of requests, each caller gets the answer that the version gives to its request alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from celery import Celery
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelane.errors import BadInput, ModelaneError, PredictionFailed, UnknownMethod
from modelane.keys import predict_queue
from support.waiting import DEADLINE_S, eventually
from support.workplace import MODEL


class Action(NamedTuple):
    """One request of a mix, or a swap of the champion before the next one."""

    caller: str = "ours"  #: "ours", "stock", or "swap"
    first: int = 0  #: row
    n: int = 1
    method: str = "predict"
    dtype: str = "<f8"
    form: str = "rows"  #: how the rows are sent
    priority: int = 0
    asked: int | None = None  #: index of the version that is requested; None for the champion
    params: str = ""  #: name of a parameter that the method does not have


actions = st.builds(
    Action,
    caller=st.sampled_from(["ours", "ours", "ours", "stock", "stock", "swap"]),
    first=st.integers(0, 500),
    n=st.integers(1, 5),
    method=st.sampled_from(["predict", "predict_proba", "predict_log_proba", "explain"]),
    dtype=st.sampled_from(["<f8", "<f4", "<i8"]),
    form=st.sampled_from(["rows", "rows", "records", "shuffled", "narrow", "missing", "words"]),
    priority=st.sampled_from([0, 3, 6, 9]),
    asked=st.sampled_from([None, None, None, 0, 1]),
    params=st.sampled_from(["", "", "", "nonsense"]),
)

#: Forms of rows that must be refused, for any caller. (A forest accepts missing values.)
BAD = {"narrow", "words"}


def refusal(action: Action) -> type[ModelaneError] | None:
    """Return the error that an action must raise, for its first fault; None if it is valid."""
    if action.method == "explain":
        return UnknownMethod
    if action.form in BAD:
        return BadInput
    return PredictionFailed if action.params else None


@pytest.mark.parametrize("max_examples", [4, pytest.param(25, marks=pytest.mark.full)])
@pytest.mark.timeout(300)
def test_any_mix_of_callers_forms_priorities_and_versions(shared, rows, max_examples):
    versions = [shared.champion, shared.bring_spare()]
    columns = shared.columns()
    assert shared.serving.runs
    client = shared.client()
    stock = Celery(broker=shared.server.url, backend=shared.server.url)
    model = {version: shared.model(version) for version in versions}

    def sent(action: Action) -> Any:
        data = rows[action.first : action.first + action.n].astype(action.dtype)
        names, payload = None, data
        if action.form == "shuffled":
            order = np.random.default_rng(action.first).permutation(len(columns))
            names, payload = tuple(columns[i] for i in order), data[:, order]
        elif action.form == "narrow":
            payload = data[:, :7]
        elif action.form == "missing":
            payload = np.where(np.arange(30) == 4, np.nan, data)
        if action.form == "records":
            payload = [dict(zip(columns, row, strict=True)) for row in data.tolist()]
        elif action.form == "words":
            payload = [["word"] * 30]
        options: dict[str, Any] = {"method": action.method}
        if action.asked is not None:
            options["version"] = versions[action.asked]
        if action.params:
            options["params"] = {action.params: 1}
        if names:
            options["columns"] = names
        if action.caller == "ours":
            return client.submit(MODEL, payload, priority=action.priority, **options)
        listed = payload.tolist() if isinstance(payload, np.ndarray) else payload
        return stock.send_task(
            "modelane.predict",
            args=[MODEL, listed],
            kwargs=options,
            queue=predict_queue(MODEL),
            priority=action.priority,
        )

    def outcome(action: Action, result: Any) -> tuple[str, Any]:
        if action.caller == "ours":
            answer = result.result()
            return answer.version, answer.values
        document = result.get(timeout=DEADLINE_S)
        return document["version"], document["values"]

    def check(action: Action, result: Any) -> None:
        if (refused := refusal(action)) is not None:
            with pytest.raises(refused):
                outcome(action, result)
            return
        version, values = outcome(action, result)
        assert version in (versions if action.asked is None else [versions[action.asked]])
        data = rows[action.first : action.first + action.n].astype(action.dtype)
        if action.form == "missing":
            data = np.where(np.arange(30) == 4, np.nan, data)
        if action.caller == "stock" or action.form == "records":
            data = data.astype(float)  # only arrays keep their dtype
        expected = getattr(model[version], action.method)(data)
        # JSON has no infinity: the logarithm of 0 is sent as null.
        values = np.where(np.equal(values, None), -np.inf, values).astype(float)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)

    @settings(max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(actions, min_size=1, max_size=60))
    @example(
        [Action(caller="swap", first=swap) if n == 30 else Action() for swap in (1, 0) for n in range(60)]
    )
    def mix(asked: list[Action]) -> None:
        results = []
        for action in asked:
            if action.caller == "swap":
                shared.store.promote(MODEL, versions[action.first % 2])
            else:
                results.append((action, sent(action)))
        for action, result in results:
            check(action, result)

    mix()
    for version in versions:  # both have answered as champion, so the worker followed the swaps above
        shared.store.promote(MODEL, version)
        eventually(lambda v=version: client.predict(MODEL, rows[:1]).version == v, f"an answer of {version}")
