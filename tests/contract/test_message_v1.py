"""Messages of Celery's protocol 1."""

import json

import pytest
from celery import Celery

from modelane.errors import Undecodable
from modelane.protocol import message as wire
from modelane.protocol import message_v1
from modelane.protocol.predict_request import read_request


def a_message(**options) -> bytes:
    """Return a message as a stock client writes it."""
    app = Celery(set_as_current=False)
    headers, properties, body, _ = app.amqp.as_task_v1("id-1", "modelane.predict", **options)
    message = {
        "body": json.dumps(body),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": dict(properties),
    }
    return json.dumps(message).encode()


def test_it_is_decoded_like_the_same_request_in_protocol_2():
    envelope = message_v1.read_envelope(
        a_message(args=("churn", [[1.0]]), kwargs={"method": "predict_proba"}, retries=2, group_id="g")
    )

    request = read_request(envelope, wire.read_body(envelope))
    assert (envelope.headers.id, envelope.headers.retries, envelope.headers.group) == ("id-1", 2, "g")
    assert (request.model, request.rows, request.method) == ("churn", [[1.0]], "predict_proba")


def test_its_times_are_decoded():
    envelope = message_v1.read_envelope(a_message(countdown=60, expires=120))

    assert envelope.expires_s is not None
    assert envelope.eta_s is not None
    assert round(envelope.expires_s - envelope.eta_s) == 60


def test_its_callbacks_are_kept():
    envelope = message_v1.read_envelope(a_message(callbacks=[{"task": "a"}], errbacks=[{"task": "b"}]))

    _, _, embed = wire.read_body(envelope)
    assert (embed.callbacks, embed.errbacks) == ([{"task": "a"}], [{"task": "b"}])


@pytest.mark.parametrize("message", [b"nonsense", b"{}", b"[1]", a_message().replace(b"id-1", b"\xff")])
def test_anything_else_is_undecodable(message):
    with pytest.raises(Undecodable, match="protocol 1 or 2"):
        message_v1.read_envelope(message)


def test_a_pickled_body_is_refused():
    message = a_message().replace(b"application/json", b"application/x-python-serialize")

    with pytest.raises(Undecodable, match="not accepted"):
        message_v1.read_envelope(message)
