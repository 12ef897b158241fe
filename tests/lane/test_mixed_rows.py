"""Models of numbers, strings and dates: every form of the rows gets the same answer, in a batch or alone."""

from __future__ import annotations

import datetime as dt
import tracemalloc

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lane.mixed import CITIES, FEATURES, NAMES, PLANS, a_mixed_card, an_engine, rows
from modelane.data.rows import to_json, to_rows
from modelane.data.tensor import EXTENSION_CODE, Tensor, from_wire, to_msgpack
from modelane.errors import BadInput, ModelaneError, Undecodable
from modelane.protocol import message
from modelane.protocol.predict_request import Request, read_request
from modelane_worker.inference import batching
from modelane_worker.inference.engine import Engine

ENGINE = an_engine()


def request(sent, **options) -> Request:
    body, columns, _ = to_rows(sent, options.pop("columns", None))
    arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(to_msgpack(body)), ext_hook=from_wire)
    return Request(id="1", model="churn", rows=arrived, columns=columns, **options)


def in_stock_json(sent) -> Request:
    body, columns, _ = to_rows(sent)
    arrived = msgspec.json.decode(msgspec.json.encode(to_json(body)))
    return Request(id="1", model="churn", rows=arrived, columns=columns)


def raw(sent, columns=None) -> Request:
    """A request in a form that any client can send."""
    return Request(id="1", model="churn", rows=sent, columns=columns)


def seen(one: Request):
    return ENGINE.block(one).rows.frame(FEATURES)


RECORD = {"city": "Oslo", "age": 41.0, "since": "2026-01-02", "plan": "free", "spend": 3.5}
ROW = list(RECORD.values())

records = st.fixed_dictionaries(
    {
        "city": st.sampled_from([*CITIES, None, "Atlantis"]),
        "age": st.integers(18, 80) | st.floats(18, 80) | st.sampled_from([None, float("inf"), "old"]),
        "since": st.dates(dt.date(2020, 1, 1), dt.date(2030, 1, 1)) | st.none(),
        "plan": st.sampled_from([*PLANS, *PLANS, *PLANS, None, "stolen"]),
        "spend": st.none() | st.floats(-100, 100),
    }
)
tables = st.lists(records, min_size=1, max_size=5)
requests = st.one_of(
    tables.map(request),
    tables.map(in_stock_json),
    tables.map(lambda some: request(pd.DataFrame(some))),
    tables.map(lambda some: request([[record[name] for name in NAMES] for record in some])),
    tables.map(
        lambda some: (
            request([[*record.values()][::-1] for record in some], columns=NAMES[::-1])
            if list(some[0]) == list(NAMES)
            else request(some)
        )
    ),
    tables.map(lambda some: request(some, method="predict_proba")),
    tables.map(lambda some: request(some, method="explain")),
    tables.map(lambda some: request([{**record, "shoe": 1} for record in some])),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(requests, max_size=12), st.integers(1, 30))
def test_each_request_is_answered_as_if_it_were_alone(many, max_rows):
    together = batching.answer(many, ENGINE, max_rows=max_rows)

    for one, outcome in zip(many, together, strict=True):
        (alone,) = batching.answer([one], ENGINE, max_rows=max_rows)
        if isinstance(alone, ModelaneError):
            assert (type(outcome), str(outcome)) == (type(alone), str(alone))
        elif alone.values.dtype.kind == "f":
            np.testing.assert_allclose(outcome.values, alone.values, rtol=0, atol=1e-9)
        else:
            np.testing.assert_array_equal(outcome.values, alone.values)


def test_the_answer_equals_that_of_the_fitted_pipeline():
    data = rows(200, seed=3)
    many = [request(data.iloc[first : first + 4]) for first in range(0, 200, 4)]

    outcomes = batching.answer(many, ENGINE, max_rows=64)

    answered = np.concatenate([outcome.values for outcome in outcomes])
    np.testing.assert_array_equal(answered, ENGINE._estimator.predict(data))
    assert {outcome.batch_rows for outcome in outcomes} == {64, 8}


def test_forms_of_one_kind_of_rows_share_one_predict():
    many = [request([RECORD]), request([ROW]), in_stock_json([RECORD]), request(pd.DataFrame([RECORD] * 30))]

    outcomes = batching.answer(many, ENGINE, max_rows=100)

    assert {outcome.batch_rows for outcome in outcomes} == {33}
    assert {label for outcome in outcomes for label in outcome.values.tolist()} <= {"leaves", "stays"}


@pytest.mark.parametrize("repeat", [1, 40], ids=["in lists", "in tensors"])
def test_columns_can_be_in_any_order(repeat):
    shuffled = {name: [RECORD[name]] * repeat for name in sorted(RECORD)}

    pd.testing.assert_frame_equal(seen(request(shuffled)), seen(raw([ROW] * repeat)))


def test_warming_up_reads_the_cards_example_as_a_callers_row():
    ENGINE.warm_up()

    broken = Engine(a_mixed_card(example=("Oslo", 41.0, "yesterday", "free", None)), ENGINE._estimator)
    with pytest.raises(BadInput, match="'since' takes dates, but row 0 is not an ISO 8601 date"):
        broken.warm_up()


@pytest.mark.parametrize(
    ("sent", "columns", "words"),
    [
        (
            [{**RECORD, "age": "old"}],
            None,
            "churn: column 'age' takes numbers, but row 0 is of type str",
        ),
        (
            [ROW, [*ROW[:2], "soon", *ROW[3:]]],
            None,
            "column 'since' takes dates, but row 1 is not an ISO 8601 date",
        ),
        ([{**RECORD, "since": 1767312000}], None, "column 'since' takes dates, but row 0 is of type int"),
        ([{**RECORD, "city": 7}], None, "column 'city' takes strings, but row 0 is of type int"),
        ([{**RECORD, "city": True}], None, "column 'city' takes strings, but row 0 is of type bool"),
        (
            [{**RECORD, "city": ["Oslo"]}],
            None,
            "column 'city' takes strings, but row 0 is of type list",
        ),
        ([{**RECORD, "age": {}}], None, "column 'age' takes numbers, but row 0 is of type dict"),
        ([{**RECORD, "age": [1]}], None, "column 'age' takes numbers, but row 0 is of type list"),
        ([{**RECORD, "shoe": 7}], None, "churn has no column 'shoe'"),
        ([{"age": 1}], None, "row 0 has no column 'city'"),
        ([ROW[:4]], None, "takes 5 features, row 0 has 4"),
        ([ROW, "Oslo"], None, "row 1 is of type str: expected a list"),
        ([ROW], ("city", "age", "since", "plan", "shoe"), "no column 'spend'"),
        ([[*ROW, 1]], (*NAMES, "shoe"), "churn has no column 'shoe'"),
        (
            Tensor.of(np.zeros((2, 5))),
            None,
            "column 'city' takes strings, but row 0 is of type float",
        ),
        (
            Tensor.of(np.full((2, 5), "7")),
            None,
            "column 'since' takes dates, but row 0 is not an ISO 8601 date",
        ),
        (Tensor.of(np.zeros((2, 3))), None, "takes 5 features"),
        ({name: [RECORD[name]] for name in NAMES[1:]}, None, "no column 'city'"),
        ({name: [RECORD[name]] for name in NAMES} | {"shoe": [1]}, None, "churn has no column 'shoe'"),
        ({name: [RECORD[name]] for name in NAMES} | {"age": [1, 2]}, None, "column 'age' has 2 values"),
        ({name: RECORD[name] for name in NAMES}, None, r"column 'city' must be a list"),
        ({name: [] for name in NAMES}, None, "no rows"),
        ({name: Tensor.of(np.zeros((2, 2))) for name in NAMES}, None, "one dimension"),
        ({name: Tensor.of(np.zeros(2)) for name in NAMES}, None, "column 'city' takes strings"),
        ({name: {"a": 1} for name in NAMES}, None, "must be a list"),
        ({1: [1], "city": [2]}, None, "must be column names"),
        ({"x" * 10**6: [1]}, None, "no column 'city'"),
        ({name: [RECORD[name]] for name in NAMES} | {"x" * 10**6: [1]}, None, "has no column 'xxx"),
    ],
    ids=lambda value: ascii(value)[:50] if isinstance(value, str) else "",
)
def test_an_invalid_value_is_refused_with_row_and_column(sent, columns, words):
    with pytest.raises(BadInput, match=words) as refused:
        ENGINE.block(raw(sent, columns))

    assert len(str(refused.value)) < 300


def packed(rows: bytes) -> message.Envelope:
    """Return a message as our client sends it, whose rows are these bytes of MessagePack."""
    body = b"\x93\x92\xa5churn" + rows + b"\x80\x80"
    return message.Envelope(
        body=msgspec.Raw(msgspec.json.encode(body)),
        content_type=message.CONTENT_TYPE,
        content_encoding="binary",
        headers=message.Headers(task="modelane.predict", id="1"),
        properties=message.Properties(body_encoding="base64"),
    )


def ext(dtype: str, shape: list[int], data: bytes, code: int = EXTENSION_CODE) -> bytes:
    payload = msgspec.msgpack.encode([dtype, shape, data])
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, payload))


@pytest.mark.parametrize(
    "rows",
    [
        b"\x82\xa3age\x91\x01\xa3age\x91\x02",  # a duplicate name
        b"\x81\x01\x91\x01",  # a number for a name
        b"\x81\x91\x01\x91\x01",  # a list for a name
        b"\x81\xc0\x91\x01",  # nothing for a name
        b"\x81\xa1\xff\x91\x01",  # a name that is no UTF-8
        b"\x81\xa3age" + ext("<f8", [1], b"short"),
        b"\x81\xa3age" + ext("<f8", [2**31], b""),
        b"\x81\xa3age" + ext("<f8", [1], bytes(8), code=5),
        b"\x81\xa3age" + ext("|O8", [1], bytes(8)),
        b"\x81\xa3age" + ext("<M8[ns]", [1], bytes(8)),
        b"\x81\xa3age" + ext("<m8[us]", [1], bytes(8)),
        b"\x81\xa3age" + ext("<U4000", [10**6], b""),
        b"\x81\xa3age" + b"\x91" * 5000,  # a deep list
        b"\x81" * 5000,  # a deep map
        b"\xdf\xff\xff\xff\xff",  # claims to have four billion columns
        b"\x81\xa3age\xdd\xff\xff\xff\xff",  # four billion values
        b"\x81\xa3age\xdb\xff\xff\xff\xffa",  # a string of four gigabytes
    ],
    ids=lambda rows: ascii(rows[:24]),
)
def test_rows_with_false_lengths_are_refused_without_allocating_memory(rows):
    envelope = packed(rows)

    with pytest.raises(ModelaneError) as refused:
        ENGINE.block(read_request(envelope, message.read_body(envelope)))

    assert isinstance(refused.value, BadInput | Undecodable)
    assert len(str(refused.value)) < 500


def test_the_same_rows_with_right_lengths_are_accepted():
    envelope = packed(msgspec.msgpack.encode(to_msgpack(to_rows([RECORD])[0])))

    assert len(ENGINE.block(read_request(envelope, message.read_body(envelope))).rows) == 1


def test_the_error_for_an_extra_column_names_it():
    with pytest.raises(BadInput, match="churn has no column 'shoe'"):
        ENGINE.block(request(pd.DataFrame([{**RECORD, "shoe": 43}])))


def test_an_error_does_not_show_the_value():
    for field in ("age", "since"):
        with pytest.raises(BadInput) as refused:
            ENGINE.block(raw([{**RECORD, field: "secret-4111"}]))
        assert "4111" not in str(refused.value)


def test_a_long_string_among_many_short_ones_does_not_enlarge_the_others():
    n = 5_000
    columns = {name: [RECORD[name]] * n for name in NAMES}
    columns["city"] = ["a"] * (n - 1) + ["b" * 4000]
    as_list = raw(columns)
    row_form = raw([[*row] for row in zip(*columns.values(), strict=True)])
    tracemalloc.start()
    try:
        for one in (as_list, row_form):
            assert len(ENGINE.block(one).rows) == n
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20 * 2**20  # a `<U4000` array of these takes 80 MB


def test_numbers_as_text_are_parsed_as_in_a_csv_file():
    assert seen(raw([{**RECORD, "age": "41", "spend": "-3e2"}]))[["age", "spend"]].iloc[0].tolist() == [
        41,
        -300,
    ]
