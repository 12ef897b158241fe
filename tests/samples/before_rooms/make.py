"""Make this sample: a model store and a Redis as the code wrote them before its modules moved into rooms.

Run it with the code of commit afe87cc and its environment, in an empty folder: ``python make.py``. It
imports modules by the names that they had then, so it does not run with today's code. Cards bind
scikit-learn by minor version: after an upgrade, make the sample again with the old code and the new library.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import redis
from celery import Celery
from modelane.embedded import RedisServer
from modelane.queue import LeasedQueue, Settlement
from modelane.results import write_failure
from modelane.wire import read_envelope
from modelane_worker.artefact import load
from modelane_worker.signing import TrustedKeys
from modelane_worker.store import Store

from modelane.client import Client
from modelane.errors import Buried
from modelane.keys import QueueKeys
from modelane.settings import Settings
from modelane_training import retrain, trainer
from modelane_training.recipe import recipe_of

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
PEOPLE = [
    {"age": 41.0, "city": "Oslo", "note": "late again, refund", "since": "2024-02-29", "spend": 12.5},
    {"age": None, "city": "Bern", "note": None, "since": "2022-05-01", "spend": 80.0},
]
LANE = "modelane.predict.iris"

HEAD = """from sklearn.linear_model import LogisticRegression
from modelane_training.gate import Gate
from modelane_training.recipe import Budget, Recipe
from modelane_training.sources import csv, scikit_learn

"""
RECIPES = {
    "iris": """recipe = Recipe(
    model="iris", source=scikit_learn("iris"), estimator=LogisticRegression(max_iter=500),
    gate=Gate(promote_equal=True),
)
""",
    "people": """recipe = Recipe(
    model="people", source=csv("people.csv"), target="left",
    candidates=("linear",), budget=Budget(trials=2, minutes=10),
)
""",
    "own-code": """class Doubtful(LogisticRegression):
    def predict_proba(self, rows):
        return (super().predict_proba(rows) + 0.5) / 2.5


recipe = Recipe(model="own-code", source=scikit_learn("iris"), estimator=Doubtful(max_iter=500))
""",
    "searched": """recipe = Recipe(
    model="searched", source=scikit_learn("iris"), candidates=("linear",), budget=Budget(trials=8, minutes=10)
)
""",
}


def write_recipes(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["age,city,note,since,spend,left"]
    words = ["late", "again", "refund", "great", "parcel", "broken", "cheap", "thanks"]
    for _ in range(200):
        age, city = int(rng.integers(18, 80)), rng.choice(["Oslo", "Bern", "Rome"])
        note = " ".join(rng.choice(words, 5))
        since = np.datetime64("2020-01-01") + rng.integers(0, 1500)
        left = "yes" if age + 30 * (city == "Oslo") + rng.normal(0, 5) > 60 else "no"
        lines.append(f"{age},{city},{note},{since},{rng.normal(50, 20):.2f},{left}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    for name, body in RECIPES.items():
        (folder / f"{name}.py").write_text(HEAD + body)


def train(settings: Settings, model: str, *, report: bool = False) -> str:
    run = retrain.run
    retrain.run = partial(run, report=report)
    try:
        return trainer.train(settings, recipe_of(model, Path(settings.recipes)), lambda *_: None).version
    finally:
        retrain.run = run


def start(package: str, settings: Settings, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "-A", package, "worker", "-n", "old@sample", "--loglevel=INFO"]
    with log.open("wb") as output:
        return subprocess.Popen(command, env=os.environ | settings.to_env(), stdout=output, stderr=output)


def until(question, what: str) -> None:
    give_up_s = time.monotonic() + 120
    while not question():
        assert time.monotonic() < give_up_s, what
        time.sleep(0.05)


def readable(value: bytes) -> str | dict[str, str]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    return text


def dump(client: redis.Redis) -> dict[str, object]:
    """Every key with its type, its value, and how many seconds it had to live."""
    found = {}
    for key in sorted(client.keys()):
        kind, ttl_ms = client.type(key).decode(), client.pttl(key)
        match kind:
            case "string":
                value = readable(client.get(key))
            case "list":
                value = [readable(item) for item in client.lrange(key, 0, -1)]
            case "hash":
                value = {readable(name): readable(item) for name, item in sorted(client.hgetall(key).items())}
            case "set":
                value = sorted(readable(item) for item in client.smembers(key))
            case "zset":
                value = {readable(name): score for name, score in client.zrange(key, 0, -1, withscores=True)}
        found[readable(key)] = {"type": kind, "value": value} | (
            {"ttl_s": ttl_ms / 1000} if ttl_ms > 0 else {}
        )
    seconds, microseconds = client.time()
    return {"redis_time_s": seconds + microseconds / 1e6, "keys": found}


def main() -> None:
    here = Path.cwd()
    write_recipes(here / "recipes")
    os.chdir(here / "recipes")
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        settings = Settings(
            home=str(here / "home"),
            recipes=str(here / "recipes"),
            broker_url=server.url,
            lease_s=60.0,
            store_poll_s=0.2,
            result_ttl_s=86_400.0,
        )
        versions = {"iris": [train(settings, "iris", report=True), train(settings, "iris")]}
        versions |= {model: [train(settings, model)] for model in ("people", "own-code")}
        store, trusted = Store(settings.store_path), TrustedKeys.load(settings.trusted_keys_path)
        estimators = {
            version: load(store.read(model, version, trusted))
            for model in versions
            for version in versions[model]
        }
        stock = Celery(broker=server.url, backend=server.url)

        def ask_stock(id_: str, **options: object) -> None:
            stock.send_task("modelane.predict", args=["iris", ROWS], queue=LANE, task_id=id_, **options)

        # A retraining whose trainer was killed in its search, and one that waits in the queue
        training = start("modelane_training", settings, here / "trainer.log")
        with Client(settings=settings, timeout_s=60) as ours:
            lost = ours.retrain("searched")
            until(lambda: lost.progress and re.match(r"trial [3-5]/", lost.progress.detail), "some trials")
            training.kill()
            training.wait()
            waiting = ours.retrain("iris")
            ours.flush()
        # What a worker has answered, in both forms, and a request that waits in the lane for its time
        worker = start("modelane_worker", settings, here / "worker.log")
        with Client(settings=settings, timeout_s=60) as ours:
            answered = ours.predict("iris", ROWS, method="predict_proba", id="answered-ours")
            ask_stock("answered-stock")
            stock.AsyncResult("answered-stock").get(timeout=60)
            ask_stock("delayed", countdown=30.0)
            until(lambda: client.zcard(f"{LANE}.leases"), "the delayed request in the lane")
            until(lambda: client.scard("modelane.served") == 3, "three announcements")
        worker.terminate()
        worker.wait()

        # A dead letter: a request that was taken by workers that were lost
        ask_stock("buried")
        queue = LeasedQueue(client, QueueKeys(LANE))
        (lease,) = queue.reserve(
            lease_s=60, max_requests=1, max_rows=99, max_bytes=10**6, max_attempts=3
        ).leases
        error = Buried("3 attempts came to nothing: each worker that tried it was lost")
        failure = write_failure(read_envelope(lease.message), error, time.time())
        queue.settle([Settlement(lease.tag, "buried", failure, 86_400, bury_reason=str(error))])

        # Requests that wait, in both forms and at another priority, and one that is revoked
        with Client(settings=settings, timeout_s=60) as ours:
            ours.submit("iris", np.asarray(ROWS), method="predict_proba", id="waiting-ours")
            ours.submit("iris", ROWS, id="waiting-low", priority=9)
            ours.submit("iris", ROWS, id="waiting-version", version=versions["iris"][0])
            ours.submit("people", PEOPLE, id="waiting-people")
            ours.submit("own-code", ROWS, method="predict_proba", id="waiting-own-code")
            revoked = ours.submit("iris", ROWS, id="waiting-revoked")
            ours.flush()
            revoked.cancel()
            until(lambda: client.zscore("modelane.revoked", "waiting-revoked"), "the revocation")
        ask_stock("waiting-stock")

        document = dump(client)

    expected = {
        "versions": versions,
        "lost_retraining": lost.id,
        "waiting_retraining": waiting.id,
        "answered": answered.values.tolist(),
        "waiting-ours": estimators[versions["iris"][1]].predict_proba(np.asarray(ROWS)).tolist(),
        "waiting-low": estimators[versions["iris"][1]].predict(np.asarray(ROWS)).tolist(),
        "waiting-version": estimators[versions["iris"][0]].predict(np.asarray(ROWS)).tolist(),
        "waiting-own-code": estimators[versions["own-code"][0]].predict_proba(np.asarray(ROWS)).tolist(),
    }
    (here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    (here / "redis.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
