"""Whatever is asked together, each caller gets what he would have got alone, by the version that answered."""

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


class Wish(NamedTuple):
    """One request of a mix, or a swap of the champion before the next one."""

    caller: str = "ours"  #: "ours", "stock", or "swap"
    first: int = 0  #: row
    n: int = 1
    method: str = "predict"
    dtype: str = "<f8"
    form: str = "rows"  #: how the rows are sent
    priority: int = 0
    asked: int | None = None  #: which of the two versions; None for the champion
    params: str = ""  #: name of a parameter that the method does not have


wishes = st.builds(
    Wish,
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

#: Rows that must not be answered, whoever asks.  (A forest takes missing values.)
BAD = {"narrow", "words"}


def refusal(wish: Wish) -> type[ModelaneError] | None:
    """What a wish must be refused with; the first thing that is wrong with it."""
    if wish.method == "explain":
        return UnknownMethod
    if wish.form in BAD:
        return BadInput
    return PredictionFailed if wish.params else None


@pytest.mark.parametrize("max_examples", [8, pytest.param(25, marks=pytest.mark.full)])
@pytest.mark.timeout(300)
def test_any_mix_of_callers_forms_priorities_and_versions(shared, rows, max_examples):
    versions = [shared.champion, shared.bring_spare()]
    columns = shared.columns()
    assert shared.serving.runs
    client = shared.client()
    stock = Celery(broker=shared.server.url, backend=shared.server.url)
    model = {version: shared.model(version) for version in versions}

    def sent(wish: Wish) -> Any:
        data = rows[wish.first : wish.first + wish.n].astype(wish.dtype)
        names, payload = None, data
        if wish.form == "shuffled":
            order = np.random.default_rng(wish.first).permutation(len(columns))
            names, payload = tuple(columns[i] for i in order), data[:, order]
        elif wish.form == "narrow":
            payload = data[:, :7]
        elif wish.form == "missing":
            payload = np.where(np.arange(30) == 4, np.nan, data)
        if wish.form == "records":
            payload = [dict(zip(columns, row, strict=True)) for row in data.tolist()]
        elif wish.form == "words":
            payload = [["word"] * 30]
        options: dict[str, Any] = {"method": wish.method}
        if wish.asked is not None:
            options["version"] = versions[wish.asked]
        if wish.params:
            options["params"] = {wish.params: 1}
        if names:
            options["columns"] = names
        if wish.caller == "ours":
            return client.submit(MODEL, payload, priority=wish.priority, **options)
        listed = payload.tolist() if isinstance(payload, np.ndarray) else payload
        return stock.send_task(
            "modelane.predict",
            args=[MODEL, listed],
            kwargs=options,
            queue=predict_queue(MODEL),
            priority=wish.priority,
        )

    def outcome(wish: Wish, result: Any) -> tuple[str, Any]:
        if wish.caller == "ours":
            answer = result.result()
            return answer.version, answer.values
        document = result.get(timeout=DEADLINE_S)
        return document["version"], document["values"]

    def check(wish: Wish, result: Any) -> None:
        if (refused := refusal(wish)) is not None:
            with pytest.raises(refused):
                outcome(wish, result)
            return
        version, values = outcome(wish, result)
        assert version in (versions if wish.asked is None else [versions[wish.asked]])
        data = rows[wish.first : wish.first + wish.n].astype(wish.dtype)
        if wish.form == "missing":
            data = np.where(np.arange(30) == 4, np.nan, data)
        if wish.caller == "stock" or wish.form == "records":
            data = data.astype(float)  # arrays alone keep their dtype on the way
        expected = getattr(model[version], wish.method)(data)
        # JSON has no infinity: the logarithm of nought comes back as nothing.
        values = np.where(np.equal(values, None), -np.inf, values).astype(float)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)

    @settings(max_examples=max_examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(wishes, min_size=1, max_size=60))
    @example([Wish(caller="swap", first=swap) if n == 30 else Wish() for swap in (1, 0) for n in range(60)])
    def mix(asked: list[Wish]) -> None:
        results = []
        for wish in asked:
            if wish.caller == "swap":
                shared.store.promote(MODEL, versions[wish.first % 2])
            else:
                results.append((wish, sent(wish)))
        for wish, result in results:
            check(wish, result)

    mix()
    for version in versions:  # both have answered as champion, so the swaps above were heard
        shared.store.promote(MODEL, version)
        eventually(lambda v=version: client.predict(MODEL, rows[:1]).version == v, f"an answer of {version}")
