"""The example web services, behind real servers and with a real HTTP client."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from celery import Celery
from werkzeug.serving import make_server

from examples.conftest import MAX_DEPTH
from support.waiting import eventually

DEADLINE_S = 30.0


def under_uvicorn(module) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(module.app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive(), "the server")
        assert server.started
        (socket,) = server.servers[0].sockets
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def under_werkzeug(module) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, module.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        module.client.close()


SERVERS = {"fastapi_service": under_uvicorn, "flask_service": under_werkzeug}


@pytest.fixture(params=SERVERS)
def service(request, environment) -> Iterator[httpx.Client]:
    module = importlib.import_module(request.param)
    try:
        for url in SERVERS[request.param](module):
            with httpx.Client(base_url=url, timeout=DEADLINE_S, trust_env=False) as http:
                yield http
    finally:
        del sys.modules[request.param]


def test_a_service_answers(service, version, churn, customers, records):
    answered = service.post("/churn", json={"rows": records})

    assert answered.status_code == 200, answered.text
    assert answered.json() == {"values": churn.predict(customers[:20]).tolist(), "version": version}


@pytest.mark.parametrize(
    ("model", "rows", "said"),
    [
        ("churn", [{"age": 41}], "no column 'visits'"),
        ("churn", [{"age": 41, "visits": "many"}], "visits"),
        ("churn", [], "no rows"),
        ("Churn!", [{"age": 41}], "is not a model's name"),
    ],
)
def test_a_wrong_request_is_a_400_with_the_reason(service, model, rows, said):
    refused = service.post(f"/{model}", json={"rows": rows})

    assert refused.status_code == 400
    assert said in refused.json()["error"]


@pytest.mark.parametrize("body", [{}, [], "rows"])
def test_a_malformed_body_is_a_client_error(service, body):
    assert service.post("/churn", json=body).status_code in (400, 422)


def test_a_timeout_is_a_504(service, modelane_stack, records):
    control, lane = Celery(broker=modelane_stack.url).control, "modelane.predict.churn"
    assert control.cancel_consumer(lane, reply=True, timeout=DEADLINE_S, limit=1)
    try:
        late = service.post("/churn", json={"rows": records})
    finally:
        assert control.add_consumer(lane, reply=True, timeout=DEADLINE_S, limit=1)

    assert late.status_code == 504
    assert "no answer within 5 s" in late.json()["error"]


def test_a_full_lane_is_a_429_with_retry_after_and_an_unknown_model_a_400(service, modelane_client, records):
    for _ in range(MAX_DEPTH):
        modelane_client.submit("nobody", records[:1])
    modelane_client.flush()

    busy = service.post("/nobody", json={"rows": records})
    unknown = service.post("/nowhere", json={"rows": records})

    assert busy.status_code == 429
    assert int(busy.headers["Retry-After"]) >= 1
    assert "modelane.predict.nobody is full: 200 messages wait" in busy.json()["error"]
    assert unknown.status_code == 400
    assert "no worker serves the model 'nowhere'" in unknown.json()["error"]


def test_concurrent_requests_get_their_own_answers(service, churn, customers):
    expected = churn.predict(customers).tolist()

    def ask(number: int) -> None:
        age, visits = customers[number]
        answer = service.post("/churn", json={"rows": [{"age": age, "visits": visits}]})
        said[number] = answer.json()["values"]

    said: dict[int, list[str]] = {}
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert said == {number: [expected[number]] for number in range(40)}
