"""The contract of a client: each test runs on Redis with a worker, and on the fake."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, as_completed
from datetime import datetime
from queue import SimpleQueue

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelane import errors
from testing.models import Labels, Sums
from testing.sides import ABC

ROWS = np.arange(12.0).reshape(4, 3)
SUMS = [3.0, 12.0, 21.0, 30.0]
NAMES = ("a", "b", "c")


def outcome(client, model, rows, **options):
    """Return the values of the answer, or the error."""
    try:
        return client.predict(model, rows, **options).values.tolist()
    except errors.ModelaneError as error:
        return error


def test_an_answer_contains_model_version_and_measurements(client, side):
    version = side.publish("sums", Sums(), ABC)

    answer = client.predict("sums", ROWS)

    assert answer.values.tolist() == SUMS
    assert answer.values.dtype == np.float64
    assert (answer.model, answer.version, answer.method) == ("sums", version, "predict")
    assert (answer.attempts, answer.batch_rows, len(answer)) == (1, 4, 4)
    assert min(answer.queued_s, answer.gathered_s, answer.predict_s) >= 0


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS.astype(np.int32),
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=0)[::2],
        ROWS.tolist(),
        tuple(map(tuple, ROWS.tolist())),
        [dict(zip(NAMES, row, strict=True)) for row in ROWS.tolist()],
        pd.DataFrame(ROWS, columns=NAMES)[["c", "a", "b"]],
        pl.DataFrame({name: ROWS[:, i] for i, name in enumerate(NAMES)}),
    ],
    ids=["array", "whole numbers", "Fortran", "strided", "lists", "tuples", "records", "pandas", "polars"],
)
def test_all_tabular_types_are_accepted(client, rows):
    assert client.predict("sums", rows).values.tolist() == SUMS


def test_columns_are_matched_by_name(client):
    assert client.predict("sums", ROWS[:, ::-1], columns=("c", "b", "a")).values.tolist() == SUMS
    assert client.predict("sums", ROWS, method="transform").values.tolist() == (ROWS * 2).tolist()


def test_labels_keep_their_dtype(client):
    sent = client.submit("labels", [[1, 2], [10, 20]])

    stored = sent.result() and client.attach(sent.id).result()
    for answer in (sent.result(), stored):
        assert answer.values.tolist() == ["small", "large"]
        assert answer.values.dtype.kind == "U"
    assert client.predict("labels", [[1, 2]], method="predict_proba").values.tolist() == [[0.0, 1.0]]


CUSTOMERS = [
    {"city": "Bern", "since": datetime(2020, 5, 1), "age": 41},
    {"city": None, "since": None, "age": None},
]


@pytest.mark.parametrize("form", [list, pd.DataFrame, pl.DataFrame])
def test_text_dates_and_missing_values_reach_the_model_by_name(client, form):
    said = client.predict("customers", form(CUSTOMERS)).values.tolist()

    assert said == ["Bern since 2020, 41.0 years", "nan since nan, nan years"]


@pytest.mark.parametrize(
    ("model", "rows", "options", "said"),
    [
        ("sums", [[1.0, 2.0]], {}, "BadInput: sums takes 3 features"),
        ("sums", [[1.0, 2.0, 3.0], [1.0]], {}, "BadInput: sums takes 3 features, row 1 has 1"),
        ("sums", [["x", 2.0, 3.0]], {}, "BadInput: takes numbers"),
        ("sums", [{"a": 1.0, "b": 2.0}], {}, "BadInput: no column 'c'"),
        ("sums", [{"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}], {}, "BadInput: no column 'd'"),
        ("sums", ROWS, {"columns": ("a", "b", "x")}, "BadInput: no column 'c'"),
        ("sums", [], {}, "BadInput: there are no rows"),
        ("sums", ROWS[:0], {}, "BadInput: there are no rows"),
        ("sums", ROWS[0], {}, "BadInput: two dimensions"),
        (
            "sums",
            ROWS,
            {"method": "explain"},
            "UnknownMethod: no method 'explain': it answers predict, transform",
        ),
        ("sums", ROWS, {"params": {"colour": 1}}, "PredictionFailed: colour"),
        ("sums", ROWS, {"version": "unheard"}, "UnknownModel: unheard"),
        (
            "sums",
            ROWS,
            {"version": "1a2b3c4d"},
            "UnknownModel: is not a version of sums: give the whole version id",
        ),
        ("sums", -ROWS, {}, "PredictionFailed: sums.predict failed: a number is negative"),
        ("short", [[1.0, 2.0]] * 2, {}, "PredictionFailed: returned 1 rows for 2 rows"),
        ("customers", [CUSTOMERS[0] | {"since": "soon"}], {}, "BadInput: 'since' takes dates, but row 0"),
        ("customers", [CUSTOMERS[0] | {"city": 5}], {}, "BadInput: 'city' takes strings, but row 0"),
        ("No Model", ROWS, {}, "BadInput: is not a model's name"),
        ("sums", ROWS, {"priority": 11}, "BadInput: priority=11"),
        ("sums", ROWS, {"timeout_s": 0}, "BadInput: timeout_s=0"),
        ("sums", ROWS, {"ttl_s": -1}, "BadInput: ttl_s=-1"),
        ("sums", ROWS, {"method": "2"}, "BadInput: method='2'"),
        ("sums", ROWS, {"columns": "abc"}, "BadInput: columns='abc'"),
        ("sums", ROWS, {"params": [1]}, "BadInput: params="),
        ("sums", ROWS, {"id": "a b"}, "BadInput: id='a b'"),
    ],
)
def test_errors_have_the_same_message(client, model, rows, options, said):
    error = outcome(client, model, rows, **options)

    name, _, sentence = said.partition(": ")
    assert type(error).__name__ == name
    assert sentence in str(error)


def test_parameters_of_two_requests_never_mix(client, side):
    with side.held("sums"):
        asked = [client.submit("sums", ROWS, params={"factor": factor}) for factor in (1.0, 2.0, 3.0)]

    said = [prediction.result().values[0] for prediction in asked]
    assert said == [3.0, 6.0, 9.0]


def test_one_bad_request_does_not_fail_its_neighbours(client, side):
    with side.held("sums"):
        asked = [client.submit("sums", rows) for rows in (ROWS, -ROWS[1:], [[1.0]], ROWS)]

    assert asked[0].result().values.tolist() == asked[3].result().values.tolist() == SUMS
    assert isinstance(asked[1].exception(), errors.PredictionFailed)
    assert isinstance(asked[2].exception(), errors.BadInput)


def test_waiting_requests_are_predicted_together(client, side):
    with side.held("sums"):
        asked = [client.submit("sums", ROWS) for _ in range(5)]
        client.flush()

    assert {prediction.result().batch_rows for prediction in asked} == {20}


def test_a_request_whose_ttl_passes_before_a_worker_starts_it_expires(client, side):
    with side.held("sums"):
        late = client.submit("sums", ROWS, ttl_s=0.01)
        in_time = client.submit("sums", ROWS)
        client.flush()
        threading.Event().wait(0.05)

    assert isinstance(late.exception(), errors.Expired)
    assert in_time.result().values.tolist() == SUMS


def test_a_request_for_a_missing_model_times_out(client):
    error = outcome(client, "nobody", ROWS, timeout_s=0.2)

    assert type(error) is errors.TimedOut
    assert isinstance(error, TimeoutError)
    assert "no answer within 0.2 s: check that a worker serves this model" in str(error)


def test_an_unknown_model_is_refused_and_its_id_can_be_used_again(client):
    id_ = f"mistyped-{id(client)}"
    futures = [client.submit("suns", ROWS), client.submit("suns", ROWS, id=id_)]

    for future in futures:
        error = future.exception(20)
        assert type(error) is errors.UnknownModel
        assert str(error).startswith("no worker serves the model 'suns'; models in service: ")
        assert "sums" in str(error)
        assert str(error).endswith("; did you mean 'sums'?")
    assert client.predict("sums", ROWS, id=id_).values.tolist() == SUMS


def test_a_model_that_is_published_after_the_request_answers(client, side):
    name = f"new-{id(client)}"
    asked = client.submit(name, ROWS)
    client.flush()

    side.publish(name, Sums(), ABC)

    assert asked.result(20).values.tolist() == SUMS


def test_a_cancelled_request_is_not_started_and_attached_clients_fail(client, side):
    other = side.client()
    with side.held("sums"):
        cancelled = client.submit("sums", ROWS)
        client.flush()
        attached = other.attach(cancelled.id)
        assert cancelled.cancel()
        side.until_revoked(cancelled.id)
        late = side.client().attach(cancelled.id)
        assert isinstance(late.exception(10), errors.Revoked), "though no worker has come to it"

    with pytest.raises(CancelledError):
        cancelled.result()
    assert isinstance(attached.exception(), errors.Revoked)


def test_attaching_to_a_request_cancelled_before_it_was_sent_fails(client, side):
    other = side.client()

    for _ in range(20):
        cancelled = client.submit("sums", ROWS)
        assert cancelled.cancel()
        side.until_revoked(cancelled.id)

        assert isinstance(other.attach(cancelled.id).exception(10), errors.Revoked)


def test_a_callback_that_waits_for_another_answer_gets_an_error(client, side):
    said: SimpleQueue[object] = SimpleQueue()

    def ask_again(_):
        said.put(outcome(client, "sums", ROWS))

    with side.held("sums"):
        asked = client.submit("sums", ROWS)
        asked.add_done_callback(ask_again)

    assert asked.result(10).values.tolist() == SUMS
    assert "must not wait for another answer" in str(said.get(timeout=10))
    assert client.predict("sums", ROWS).values.tolist() == SUMS


def test_the_same_id_twice_is_one_computation_and_one_answer(client, side):
    id_ = f"order-{id(client)}"
    with side.held("sums"):
        first, again = client.submit("sums", ROWS, id=id_), client.submit("sums", ROWS, id=id_)

    assert first.result().values.tolist() == again.result().values.tolist() == SUMS
    assert first.result().batch_rows == again.result().batch_rows == 4
    assert side.client().predict("sums", ROWS, id=id_).queued_s == first.result().queued_s
    assert "was already used for another request" in str(outcome(client, "sums", ROWS[:1], id=id_))


def test_an_id_that_expired_may_be_sent_again(client, side):
    id_ = f"late-{id(client)}"
    with side.held("sums"):
        late = client.submit("sums", ROWS, id=id_, ttl_s=0.01)
        client.flush()
        threading.Event().wait(0.05)
    assert isinstance(late.exception(), errors.Expired)

    assert client.predict("sums", ROWS, id=id_).values.tolist() == SUMS


def test_another_client_attaches_to_waiting_and_answered_requests(client, side):
    other = side.client()
    with side.held("sums"):
        sent = client.submit("sums", ROWS)
        client.flush()
        waiting = other.attach(sent.id)

    assert waiting.result().values.tolist() == SUMS
    assert other.attach(sent.id).result().values.tolist() == SUMS
    assert type(other.attach("never-sent", timeout_s=0.1).exception()) is errors.TimedOut


def test_an_ignored_result_is_none_and_is_not_stored(client):
    sent = client.submit("sums", ROWS, ignore_result=True)

    assert sent.result() is None
    assert sent.sent
    named = client.submit("sums", ROWS, ignore_result=True, id=f"unheard-{id(client)}")
    assert named.result() is None
    assert type(client.attach(named.id, timeout_s=5).exception()) is errors.NotAnswered


def test_a_full_lane_refuses_with_retry_after(side):
    client = side.client(max_depth=2)
    with side.held("sums"):
        taken = [client.submit("sums", ROWS) for _ in range(2)]
        client.flush()
        full = client.submit("sums", ROWS).exception()

    assert type(full) is errors.QueueFull
    assert (full.depth, full.limit) == (2, 2)
    assert full.retry_after_s > 0
    assert [prediction.result().values.tolist() for prediction in taken] == [SUMS, SUMS]


def test_a_request_that_is_too_large_is_refused_immediately(side):
    client = side.client(max_request_bytes=1000)

    with pytest.raises(errors.TooLarge, match="allows 1000"):
        client.submit("sums", np.zeros((100, 3)))


def test_a_version_can_be_requested_and_replaced(client, side):
    first = side.publish("labels", Labels(), [[1.0, 2.0]])
    assert client.predict("labels", [[1, 2]], version=first).version == first

    second = side.publish("labels", Labels(), [[1.0, 2.0]])

    assert client.predict("labels", [[1, 2]]).version == second != first
    assert client.predict("labels", [[1, 2]], version=first).version == first
    with pytest.raises(errors.RequestError, match=first):
        client.predict("labels", [[1, 2]], version=f"{first}-none")


def test_futures_are_awaited_gathered_and_called_back(client):
    called_back = []

    async def ask():
        asked = [client.submit("sums", ROWS[n : n + 1]) for n in range(4)]
        asked[0].add_done_callback(called_back.append)
        together = await asyncio.gather(*asked)
        return asked, [answer.values[0] for answer in together]

    asked, said = asyncio.run(ask())

    assert said == SUMS
    assert called_back == [asked[0]]
    assert {future.id for future in as_completed(asked)} == {future.id for future in asked}
    assert all(future.sent for future in asked)


def test_map_answers_in_order(client):
    batches = [ROWS * factor for factor in range(20)]

    def first(answers):
        return [answer.values[1] for answer in answers]

    async def amapped():
        return [answer async for answer in client.amap("sums", iter(batches), window=3)]

    assert first(client.map("sums", iter(batches), window=3)) == [12.0 * n for n in range(20)]
    assert first(asyncio.run(amapped())) == [12.0 * n for n in range(20)]


def test_the_error_of_a_batch_is_raised_in_its_place_or_returned(client):
    batches = [ROWS, -ROWS, ROWS]

    returned = list(client.map("sums", batches, return_errors=True))
    assert [type(each).__name__ for each in returned] == ["Answer", "PredictionFailed", "Answer"]

    answers = client.map("sums", batches)
    assert next(answers).values.tolist() == SUMS
    with pytest.raises(errors.PredictionFailed):
        next(answers)


def test_threads_share_a_client(client):
    said = {}

    def ask(number):
        said[number] = client.predict("sums", ROWS * number).values[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == {number: 3.0 * number for number in range(16)}


def test_closing_fails_pending_futures_and_later_requests(side):
    client = side.client()
    with side.held("sums"):
        pending = client.submit("sums", ROWS)
        client.flush()
        client.close()

    assert type(pending.exception()) is errors.ClientClosed
    with pytest.raises(errors.ClientClosed):
        client.submit("sums", ROWS)
    client.close()
