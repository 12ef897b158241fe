"""At most one run of a model at a time; requests that arrive during a run share its result."""

from __future__ import annotations

import time

import pytest
import redis

from modelane.client import Client
from modelane.errors import BadData, RunEnded
from modelane.keys import RETRAIN_QUEUE, RUN_KEY_PREFIX
from modelane.settings import Settings
from modelane_training.trainer.run_claims import RunClaim, RunClaims, RunInProgress, RunOutcome

LEASE_S = 0.3
DONE = RunOutcome({"version": "v1"})


@pytest.fixture
def settings(redis_url) -> Settings:
    return Settings(broker_url=redis_url, lease_s=LEASE_S, prefix="shop:")


@pytest.fixture
def claims(settings) -> RunClaims:
    return RunClaims(settings)


def claimed(claims: RunClaims, id_: str, model: str = "churn") -> RunClaim:
    claim = claims.acquire(model, id_)
    assert isinstance(claim, RunClaim)
    return claim


def asked_until_free(claims: RunClaims, id_: str) -> tuple[RunClaim, float]:
    """Return the claim, and how many seconds it took."""
    began_s = time.monotonic()
    while not isinstance(claim := claims.acquire("churn", id_), RunClaim):
        assert time.monotonic() - began_s < 10
        time.sleep(0.01)
    return claim, time.monotonic() - began_s


def test_a_second_request_waits_and_gets_the_result_of_the_first(claims):
    claim = claimed(claims, "one")

    assert claims.acquire("churn", "two") == RunInProgress("one")
    claims.finish(claim, DONE)

    assert claims.acquire("churn", "two") == DONE


def test_two_models_can_run_at_the_same_time(claims):
    claimed(claims, "one")

    claimed(claims, "two", model="fraud")


def test_a_request_that_waited_in_the_queue_gets_the_result_too(claims, settings):
    # Given a run, and two requests that no trainer has read yet: one of our client, one of a stock client
    claim = claimed(claims, "one")
    with Client(settings=settings) as client, redis.Redis.from_url(settings.broker_url) as server:
        ours = client.retrain("churn").id
        client.flush()
        stock = b'{"body": "eyJpZCI6IDF9", "headers": {"root_id": "no", "id": "stock", "task": "x"}}'
        server.lpush(f"shop:{RETRAIN_QUEUE}", stock)

    claims.finish(claim, DONE)

    assert claims.acquire("churn", ours) == DONE
    assert claims.acquire("churn", "stock") == DONE
    claimed(claims, "no")


def test_a_request_after_the_end_of_a_run_starts_its_own_run(claims):
    claims.finish(claimed(claims, "one"), DONE)

    assert claims.acquire("churn", "one") == DONE
    claimed(claims, "two")


def test_all_waiting_requests_get_the_error_of_a_failed_run(claims):
    claim = claimed(claims, "one")
    claims.acquire("churn", "two")

    claims.finish(claim, RunOutcome.of(BadData("nothing to tell apart")))

    told = claims.acquire("churn", "two")
    assert isinstance(told, RunOutcome)
    assert repr(told.value()) == repr(BadData("nothing to tell apart"))


def test_a_waiting_request_starts_its_own_run_if_there_is_no_result(claims):
    claim = claimed(claims, "one")
    claims.acquire("churn", "two")

    claims.finish(claim, None)

    claimed(claims, "two")


def test_a_lost_run_is_resumed_by_its_own_request_before_any_other(claims):
    # Given a run whose trainer was lost
    claimed(claims, "one")
    assert claims.acquire("churn", "one") == RunInProgress("one")

    # Then its own request may resume it after one lease, another request after two
    _, took_s = asked_until_free(claims, "one")
    assert took_s > LEASE_S / 2
    _, took_s = asked_until_free(claims, "two")
    assert took_s > LEASE_S


def test_a_renewed_claim_is_kept_until_another_run_takes_it_over(claims):
    claim = claimed(claims, "one")
    until_s = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < until_s:
        claims.renew(claim)
        assert claims.acquire("churn", "two") == RunInProgress("one")
        time.sleep(LEASE_S / 5)
    other, _ = asked_until_free(claims, "one")

    with pytest.raises(RunEnded, match="another trainer has taken over"):
        claims.renew(claim)
    claims.finish(claim, None)  # changes nothing
    claims.renew(other)


def test_a_run_that_is_handed_over_resumes_immediately(claims):
    claims.hand_over(claimed(claims, "one"))

    assert isinstance(claims.acquire("churn", "two"), RunInProgress)
    claimed(claims, "one")


def test_a_claim_that_redis_has_lost_is_recreated(claims, settings):
    claim = claimed(claims, "one")
    with redis.Redis.from_url(settings.broker_url) as server:
        server.delete(f"shop:{RUN_KEY_PREFIX}churn")

    claims.renew(claim)

    assert claims.acquire("churn", "two") == RunInProgress("one")
