"""Messages and results are in Celery's format, and hostile ones are refused."""

import base64
import json

import msgspec
import numpy as np
import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual.base import Message as KombuMessage

from modelane import app as modelane_app
from modelane.data.tensor import Tensor
from modelane.errors import BadInput, Expired, PredictionFailed, Undecodable
from modelane.protocol import message as wire
from modelane.protocol import result, serializer
from modelane.protocol.predict_request import Request, read_request
from modelane.protocol.redaction import describe, redact
from modelane.settings import Settings


def ours(rows=((1.0, 2.0),), **options) -> bytes:
    rows = np.array(rows) if not isinstance(rows, list) else rows
    return wire.write_message(
        id="id-1",
        task="modelane.predict",
        queue="modelane.predict.churn",
        args=("churn", rows),
        kwargs={"method": "predict_proba"},
        rows=len(rows),
        argsrepr="('churn', [1x2 float64])",
        reply_to="modelane.reply.me",
        sent_s=1000.0,
        origin="1@host",
        **options,
    )


def stocks(args=("churn", [[1.0, 2.0]]), kwargs=None, **headers) -> bytes:
    """Return a message as stock Celery writes it."""
    body = json.dumps(
        [args, kwargs or {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    )
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": "modelane.predict", "id": "id-2", **headers},
            "properties": {"reply_to": "0c6f", "body_encoding": "base64", "priority": 0},
        }
    ).encode()


def read(message: bytes) -> Request:
    envelope = wire.read_envelope(message)
    return read_request(envelope, wire.read_body(envelope))


def test_a_message_is_decoded_as_the_request_that_was_sent():
    request = read(ours())

    assert (request.id, request.model, request.method) == ("id-1", "churn", "predict_proba")
    assert isinstance(request.rows, Tensor)
    np.testing.assert_array_equal(request.rows.array(), [[1.0, 2.0]])


def test_a_message_of_stock_celery_is_decoded():
    request = read(stocks(kwargs={"method": "predict", "columns": ["a", "b"]}))

    assert request.rows == [[1.0, 2.0]]
    assert request.columns == ("a", "b")


def test_all_arguments_may_be_keyword_arguments():
    assert read(stocks(args=(), kwargs={"model": "churn", "rows": [[1]]})).rows == [[1]]


def test_nan_as_written_by_pythons_json_is_decoded():
    (value,) = read(stocks(args=("churn", [[float("nan")]]))).rows[0]

    assert np.isnan(value)


def test_only_reply_channels_of_modelanes_client_are_used():
    assert wire.read_envelope(ours()).reply_to == "modelane.reply.me"
    assert wire.read_envelope(stocks()).reply_to == ""


def test_kombu_decodes_the_message():
    app = modelane_app.build(Settings())
    payload = json.loads(ours())

    message = KombuMessage(payload, channel=_Channel(), accept={"application/x-modelane"})

    args, kwargs, embed = message.decode()
    np.testing.assert_array_equal(args[1], [[1.0, 2.0]])
    assert kwargs == {"method": "predict_proba"}
    assert embed["chord"] is None
    assert message.headers["task"] == "modelane.predict"
    assert app.conf.accept_content == ["json", "modelane"]


class _Channel:
    """The part of a channel that kombu's message needs: the encoding of the body."""

    def decode_body(self, body, encoding):
        return base64.b64decode(body) if encoding == "base64" else body


def test_the_number_of_rows_is_at_the_front_where_reserve_looks_for_it():
    assert ours().startswith(b'{"rows":1,')


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"body": 1}',
        b'{"body":"","content-type":"application/json","content-encoding":"utf-8","headers":{}}',
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_anything_but_a_celery_message_is_undecodable(message):
    with pytest.raises(Undecodable):
        wire.read_envelope(message)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-python-serialize", base64.b64encode(b"cos\nsystem\n")),
        ("application/x-yaml", base64.b64encode(b"!!python/object/apply:os.system [ls]")),
        ("application/json", b"!!! not base64 !!!"),
        ("application/json", base64.b64encode(b"{}")),
        ("application/json", base64.b64encode(b"[[], {}]")),
        ("application/json", base64.b64encode(b"[" * 100_000)),
        ("application/x-modelane", base64.b64encode(b"\xc1")),
    ],
    ids=["pickle", "yaml", "no base64", "an object", "no embed", "a deep nest", "no MessagePack"],
)
def test_a_body_that_is_not_in_its_content_type_is_undecodable(content_type, body):
    message = json.loads(stocks())
    message |= {"content-type": content_type, "body": body.decode()}

    with pytest.raises(Undecodable):
        wire.read_body(wire.read_envelope(json.dumps(message).encode()))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("churn",), {}),
        (("churn", [[1]], "predict"), {}),
        ((7, [[1]]), {}),
        (("churn", [[1]]), {"metod": "predict"}),
        (("churn", [[1]]), {"columns": "ab"}),
        (("churn", [[1]]), {"params": {"sample_weight": [1, 2]}}),
    ],
    ids=range(7),
)
def test_wrong_arguments_are_bad_input_that_shows_the_signature(args, kwargs):
    with pytest.raises(BadInput, match=r"modelane\.predict"):
        read(stocks(args=args, kwargs=kwargs))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused_with_an_error_of_modelane(data):
    with pytest.raises(Undecodable):
        wire.read_envelope(data)


def test_deadlines_may_have_a_time_zone():
    assert wire.read_envelope(stocks(expires="1970-01-01T00:01:00+00:00")).expires_s == 60
    assert wire.read_envelope(stocks(expires="1970-01-01T00:01:00")).expires_s == 60
    with pytest.raises(Undecodable):
        _ = wire.read_envelope(stocks(expires="tomorrow")).expires_s


def test_a_result_has_the_format_of_its_request():
    value = {"model": "churn", "version": "v", "method": "predict", "values": np.array([1, 0])}

    to_stock = result.write_result(wire.read_envelope(stocks()), value, 0.0)
    to_us = result.write_result(wire.read_envelope(ours()), value, 0.0)

    assert json.loads(to_stock)["result"]["values"] == [1, 0]
    assert json.loads(to_stock)["date_done"] == "1970-01-01T00:00:00+00:00"
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(to_us)
    np.testing.assert_array_equal(serializer.loads(to_us)["result"]["values"], [1, 0])


def test_celerys_own_result_class_decodes_both_formats():
    app = modelane_app.build(Settings())
    value = {"values": np.array([1.5])}

    for message in (stocks(), ours()):
        stored = result.write_result(wire.read_envelope(message), value, 0.0)
        meta = app.backend.decode_result(stored)
        assert list(meta["result"]["values"]) == [1.5]


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (PredictionFailed("no"), "FAILURE", "PredictionFailed"),
        (Expired("late"), "REVOKED", "TaskRevokedError"),
    ],
)
def test_stock_celery_raises_a_failure(error, status, name):
    backend = Celery(backend="redis://127.0.0.1:1/0").backend

    stored = result.write_failure(wire.read_envelope(stocks()), error, 0.0)
    meta = backend.decode_result(stored)

    assert meta["status"] == status
    assert type(meta["result"]).__name__ == name
    assert str(error) in str(meta["result"])


@pytest.mark.parametrize("value", [np.array([1 + 2j]), np.array(["2026"], "M8[Y]"), object(), "\ud800"])
def test_an_answer_that_cannot_be_encoded_is_a_failure(value):
    for message in (stocks(), ours()):
        stored = result.write_result(wire.read_envelope(message), {"values": value}, 0.0)
        document = serializer.loads(stored)
        if document["status"] == "FAILURE":
            assert "cannot be encoded" in document["result"]["exc_message"][0]
        else:
            assert document["result"]["values"] is not None


def test_a_long_error_message_is_truncated():
    stored = result.write_failure(wire.read_envelope(stocks()), PredictionFailed("x" * 10**6), 0.0)

    assert len(stored) < 2000


def test_an_error_message_with_a_lone_surrogate_is_encoded():
    stored = result.write_failure(wire.read_envelope(stocks()), BadInput("\ud800"), 0.0)

    assert json.loads(stored)["status"] == "FAILURE"


def test_a_body_with_a_lone_surrogate_is_refused():
    body = base64.b64encode(b'[["churn", [["\\ud800", NaN]]], {}, {}]').decode()
    message = json.dumps(json.loads(stocks()) | {"body": body}).encode()

    with pytest.raises(Undecodable):
        read(message)


def test_the_description_of_another_clients_arguments_is_replaced():
    envelope = wire.read_envelope(stocks(argsrepr="('churn', [[4711]])", kwargsrepr="{'rows': 4711}"))
    assert "4711" not in f"{envelope.headers.argsrepr}{envelope.headers.kwargsrepr}", "not even unread"

    redact(envelope, wire.read_body(envelope))

    assert envelope.headers.argsrepr == "([1x2 rows])"


def test_rows_are_described_by_shape_and_never_by_value():
    assert describe([[4711, 1]]) == "[1x2 rows]"
    assert describe([{"a": 4711}]) == "[1x1 records]"
    assert describe("secret") == "[str]"
