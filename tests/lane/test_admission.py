"""What happens to a message before it is served: admitted, refused, deferred or handed off."""

import base64
import json
import zlib
from datetime import UTC, datetime

import numpy as np
import pytest

from modelane.broker.lease import Lease
from modelane.errors import Buried, Expired, Revoked, TooLarge, Undecodable
from modelane.keys import REPLY_CHANNEL_PREFIX
from modelane.protocol import message as wire
from modelane.settings import Settings
from modelane_worker.lanes.admission import Admission, Refused
from modelane_worker.lanes.service import Call, Deferred
from modelane_worker.serving.predict_service import PredictService

NOW_S = 1_000_000.0
LOADING = "20261122T113000-1a2b3c4d"


def a_message(*, model="churn", options=None, **changes) -> bytes:
    written = wire.write_message(
        id="id-1",
        task="modelane.predict",
        queue="q",
        args=(model, np.zeros((1, 3))),
        kwargs=options or {},
        rows=1,
        argsrepr="",
        reply_to="",
        sent_s=NOW_S - 2,
        origin="",
    )
    message = json.loads(written)
    message["headers"] |= changes.pop("headers", {})
    return json.dumps(message | changes, separators=(",", ":")).encode()


def admitted(message: bytes, *, revoked=(), max_bytes=10**6):
    service = PredictService(
        "churn",
        engine=lambda version: pytest.fail("nothing is served here"),
        load_delay_s=lambda version: 0.2 if version == LOADING else 0.0,
        max_batch_rows=10,
    )
    admission = Admission(
        service,
        Settings(max_attempts=3, max_request_bytes=max_bytes),
        is_revoked=lambda headers: headers.id in revoked,
        is_handoff=lambda envelope, body: bool(body[2].callbacks),
    )
    return admission.admit(Lease(b"tag", message), NOW_S, reserved_s=0.0)


def iso(offset_s: float) -> str:
    return datetime.fromtimestamp(NOW_S + offset_s, UTC).isoformat()


def test_a_deadline_is_compared_with_redis_time_even_if_the_senders_clock_is_wrong():
    expires = datetime.fromtimestamp(NOW_S - 7200 + 10, UTC).isoformat()

    in_time = admitted(a_message(headers={"expires": expires}, clock_off_s=7200.0))
    late = admitted(a_message(headers={"expires": expires}, clock_off_s=7180.0))

    assert isinstance(in_time, Call)
    assert isinstance(late.error, Expired)


def test_a_valid_message_is_a_call_that_knows_how_long_it_waited():
    call = admitted(a_message())

    assert isinstance(call, Call)
    assert call.queued_s == 2.0


def test_arguments_are_parsed_once_into_the_request_that_is_served():
    call = admitted(a_message(options={"method": "predict_proba"}))

    assert (call.request.model, call.request.method) == ("churn", "predict_proba")
    assert call.n_bytes == len(a_message(options={"method": "predict_proba"}))


@pytest.mark.parametrize(
    ("message", "words"),
    [({"options": {"colour": "red"}}, "colour"), ({"model": "fraud"}, "came to the queue of churn")],
)
def test_wrong_arguments_are_refused_and_count_as_a_task_that_ran(message, words):
    refused = admitted(a_message(**message))

    assert isinstance(refused, Refused)
    assert words in str(refused.error)
    assert refused.counts_as_run
    assert not refused.bury


def test_a_request_for_a_version_that_is_being_loaded_is_deferred():
    assert admitted(a_message(options={"version": LOADING})) == Deferred(b"tag", 0.2)


def test_a_senders_clock_that_is_ahead_does_not_give_a_negative_wait():
    assert admitted(a_message(sent_s=NOW_S + 3600)).queued_s == 0


def test_a_message_whose_deadline_has_passed_is_expired_by_the_clock_of_redis():
    refused = admitted(a_message(headers={"expires": iso(-1)}))

    assert isinstance(refused.error, Expired)
    assert not refused.bury
    assert isinstance(admitted(a_message(headers={"expires": iso(1)})), Call)


def test_a_revoked_message_is_refused():
    assert isinstance(admitted(a_message(), revoked=["id-1"]).error, Revoked)


def test_a_message_with_an_eta_waits_for_it():
    later = admitted(a_message(headers={"eta": iso(7.5)}))

    assert isinstance(later, Deferred)
    assert later.delay_s == 7.5
    assert isinstance(admitted(a_message(headers={"eta": iso(-1)})), Call)


def test_a_message_that_lost_too_many_workers_is_dead_lettered():
    assert isinstance(admitted(b'{"attempts":2,' + a_message()[1:]), Call)
    refused = admitted(b'{"attempts":3,' + a_message()[1:])

    assert isinstance(refused.error, Buried)
    assert refused.bury


def test_attempts_that_a_sender_claims_do_not_replace_those_of_the_queue():
    assert isinstance(admitted(b'{"attempts":3,' + a_message(attempts=0)[1:]).error, Buried)
    assert isinstance(admitted(a_message(attempts=-5)), Call)


def test_a_message_beyond_the_limit_is_refused_before_its_body_is_read():
    assert isinstance(admitted(a_message(body="!"), max_bytes=100).error, TooLarge)


def test_an_unreadable_message_is_dead_lettered_because_no_caller_is_known():
    refused = admitted(b"nonsense")

    assert isinstance(refused, Refused)
    assert (refused.envelope, refused.bury) == (None, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headers": {"retries": "x"}}, "got `str` - at `$.headers.retries`"),
        ({"headers": {"task": 5}}, "got `int` - at `$.headers.task`"),
        ({"properties": {"priority": "high"}}, "got `str` - at `$.properties.priority`"),
        ({"content-type": 5}, "got `int` - at `$.content-type`"),
    ],
)
def test_a_malformed_message_is_answered_if_its_id_can_be_read(changes, words):
    refused = admitted(a_message(**changes))

    assert isinstance(refused.error, Undecodable)
    assert words in str(refused.error)
    assert refused.envelope.headers.id == "id-1"
    assert not refused.bury


def test_our_client_gets_the_error_of_a_malformed_message_on_its_reply_channel():
    reply_to = f"{REPLY_CHANNEL_PREFIX}me"

    refused = admitted(a_message(headers={"retries": "x"}, properties={"reply_to": reply_to}))

    assert refused.envelope.reply_to == reply_to
    assert refused.envelope.form == "msgpack"


@pytest.mark.parametrize("id_", [5, None, ["id-1"]])
def test_a_message_without_a_valid_id_is_dead_lettered(id_):
    refused = admitted(a_message(headers={"id": id_}))

    assert (refused.envelope, refused.bury) == (None, True)


def test_an_unreadable_body_is_answered():
    refused = admitted(a_message(body="!!!"))

    assert isinstance(refused.error, Undecodable)
    assert not refused.bury


def test_a_compressed_message_must_not_exceed_the_limit_after_decompression():
    body = zlib.compress(json.dumps([["churn", [[0.0] * 3] * 10_000], {}, {}]).encode())
    message = a_message(
        **{"content-type": "application/json"},
        body=base64.b64encode(body).decode(),
        headers={"compression": "application/x-gzip"},
    )
    assert len(message) < 10_000

    assert isinstance(admitted(message), Call)
    refused = admitted(message, max_bytes=100_000)
    assert isinstance(refused.error, TooLarge)
    assert "100000 bytes after decompression" in str(refused.error)


class TestOfProtocol1:
    def test_a_message_with_an_unusable_id_is_refused_alone(self):
        for field in ("id", "task"):
            task = json.dumps({"id": "id-1", "task": "modelane.predict", "args": [], field: "\ud800"})
            message = {
                "body": base64.b64encode(task.encode()).decode(),
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": {"body_encoding": "base64"},
            }

            refused = admitted(json.dumps(message).encode())

            assert isinstance(refused, Refused)
            assert refused.bury
            assert isinstance(refused.error, Undecodable)

    def test_a_large_message_is_refused_before_it_is_read(self, monkeypatch):
        monkeypatch.setattr(
            "modelane.protocol.message_v1.read_envelope", lambda message: pytest.fail("it was read")
        )
        message = json.dumps({"body": "x" * 2000, "content-type": "application/json"}).encode()

        refused = admitted(message, max_bytes=1000)

        assert isinstance(refused, Refused)
        assert "this lane reads at most 1000" in str(refused.error)
