"""Whatever is asked together, each caller gets what he would have got alone, by the version that answered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.workplace import MODEL
from modelane.errors import ModelaneError
from modelane.keys import predict_queue


class Wish(NamedTuple):
    """One request of a mix, or a swap of the champion before the next one."""

    caller: str  #: "ours", "stock", or "swap"
    first: int  #: row
    n: int
    method: str
    dtype: str
    form: str  #: how the rows are sent
    priority: int


wishes = st.builds(
    Wish,
    caller=st.sampled_from(["ours", "ours", "ours", "stock", "stock", "swap"]),
    first=st.integers(0, 500),
    n=st.integers(1, 5),
    method=st.sampled_from(["predict", "predict_proba", "predict_log_proba", "explain"]),
    dtype=st.sampled_from(["<f8", "<f4", "<i8"]),
    form=st.sampled_from(["rows", "rows", "records", "shuffled", "narrow", "missing", "words"]),
    priority=st.sampled_from([0, 3, 6, 9]),
)

#: What must not be answered, whoever asks.  (A forest takes missing values.)
BAD = {"narrow", "words"}


@pytest.mark.timeout(300)
def test_any_mix_of_callers_forms_priorities_and_versions(workplace, rows):
    other = workplace.retrain_elsewhere()
    versions = [workplace.store.champion(MODEL), other]
    columns = workplace.columns()
    workplace.worker(max_batch_requests=50)
    client, app = workplace.client(), workplace.celery

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
        if wish.caller == "ours":
            options = {"columns": names} if names else {}
            return client.submit(MODEL, payload, method=wish.method, priority=wish.priority, **options)
        listed = payload.tolist() if isinstance(payload, np.ndarray) else payload
        kwargs = {"method": wish.method} | ({"columns": list(names)} if names else {})
        return app.send_task(
            "modelane.predict",
            args=[MODEL, listed],
            kwargs=kwargs,
            queue=predict_queue(MODEL),
            priority=wish.priority,
            serializer="json",
        )

    def check(wish: Wish, result: Any) -> None:
        bad = wish.form in BAD or wish.method == "explain"
        try:
            if wish.caller == "ours":
                answer = result.result()
                version, values = answer.version, answer.values
            else:
                document = result.get(timeout=60)
                version, values = document["version"], document["values"]
        except ModelaneError:
            assert bad, wish
            return
        assert not bad, wish
        data = rows[wish.first : wish.first + wish.n].astype(wish.dtype)
        if wish.form == "missing":
            data = np.where(np.arange(30) == 4, np.nan, data)
        if wish.caller == "stock" or wish.form == "records":
            data = data.astype(float)  # arrays alone keep their dtype on the way
        expected = workplace.expected(version, data, wish.method)
        # JSON has no infinity: the logarithm of nought comes back as nothing.
        values = np.where(np.equal(values, None), -np.inf, values).astype(float)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(wishes, min_size=1, max_size=60))
    def mix(asked: list[Wish]) -> None:
        results = []
        for wish in asked:
            if wish.caller == "swap":
                workplace.store.promote(MODEL, versions[wish.first % 2])
            else:
                results.append((wish, sent(wish)))
        for wish, result in results:
            check(wish, result)

    mix()
