"""Ordinary tasks of a user; a worker loads them with Celery's own ``--include stock.tasks``."""

from __future__ import annotations

import os
import time

from celery import current_app, shared_task


@shared_task
def positives(answer):
    """Return how many rows of a prediction are of class 1."""
    return sum(int(value) for value in answer["values"])


@shared_task
def total(numbers):
    return sum(numbers)


@shared_task
def together(answers):
    """Return all values of many predictions, in their order."""
    return [value for answer in answers for value in answer["values"]]


@shared_task
def echo(value):
    return value


@shared_task
def fail(message):
    raise ValueError(message)


@shared_task(bind=True, max_retries=3)
def second_time(self, value):
    """Succeed when it runs for the second time."""
    if self.request.retries == 0:
        raise self.retry(countdown=0.2)
    return value


@shared_task
def nap(seconds):
    """Keep a worker busy."""
    time.sleep(seconds)
    return seconds


@shared_task
def die():
    """End the worker process."""
    os._exit(1)


@shared_task
def note_error(request, exc, traceback):
    """Store the error that an errback gets: Celery stores no result of errbacks."""
    current_app.backend.store_result(f"told-{request.id}", f"{type(exc).__name__}: {exc}", "SUCCESS")


@shared_task
def leave():
    raise SystemExit(3)


@shared_task
def interrupt():
    raise KeyboardInterrupt


@shared_task
def run_out():
    raise MemoryError
