"""One `modelane score`, from its options to the output in its place.  the command → JOB → read, run, work.

Begun anew or gone on with: what is done already is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import redis

from modelane.broker.connection import connect
from modelane.broker.served_models import Served, served_model
from modelane.bulk.client_lane import ClientLane
from modelane.bulk.progress import Meter, Show, spoken
from modelane.bulk.readers.base import Source
from modelane.bulk.readers.open_file import open_source, resized
from modelane.bulk.scorer import ERROR, Task, columns_of, scored
from modelane.bulk.stall_watch import Watch
from modelane.bulk.workdir import Manifest, Work, fingerprint
from modelane.client import Client
from modelane.client.options import Options
from modelane.errors import BadInput, BrokerUnavailable, BulkError, UnknownMethod
from modelane.settings import Settings

#: Seconds between two looks whether Redis is back.
RETRY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the user asks for.

    Attributes:
        model: that is asked.
        source: the input.
        out: the output.
        keep: columns of the input to carry along.
        method: of the model.
        version: of the model; None for the one that is in service when the run begins.
        batch_rows: rows of one request.
        window: requests in flight.
        priority: 0 (served first) to 9.
        timeout_s: how long an answer, or Redis, is waited for.
        stop_at_errors: whether the first row without an answer ends the run.
        restart: whether to forget what an earlier run has done.
    """

    model: str
    source: Path
    out: Path
    keep: tuple[str, ...] = ()
    method: str = "predict"
    version: str | None = None
    batch_rows: int = 4096
    window: int = 8
    priority: int = 0
    timeout_s: float = 300.0
    stop_at_errors: bool = True
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a job ended.

    Attributes:
        version: that answered.
        n_rows: of the output.
        n_errors: rows without an answer.
        n_before: rows that an earlier run had done.
        took_s: seconds, of this run.
    """

    version: str
    n_rows: int
    n_errors: int
    n_before: int
    took_s: float


def score(job: Job, settings: Settings, show: Show) -> Done:
    """Raises what :mod:`modelane.errors` has; what was answered until then is kept."""
    began_s = time.monotonic()
    source = open_source(job.source)
    with ExitStack() as ends:
        work = ends.enter_context(Work(job.out))
        if work.out == job.source.resolve():
            raise BulkError(f"{job.out} is the input: name another output")
        server = ends.enter_context(connect(settings))
        client = ends.enter_context(Client(settings=settings))
        manifest = _manifest(job, work, source, partial(_served, job, server, settings.prefix, show))
        task = _task(job, source, manifest.served)
        options: Options = {"method": job.method, "version": task.version, "priority": job.priority}
        lane = ClientLane(
            client, server, settings.prefix, job.model, timeout_s=job.timeout_s, options=options
        )
        before = work.parts()
        n_before = sum(part.n_rows for part in before)
        meter = Meter(n_before, source.n_rows)
        ends.enter_context(Watch(meter, show, lane.trouble, job.timeout_s))
        columns = tuple(dict.fromkeys([*task.features, *task.keep]))
        batches = resized(source.batches(columns, n_before, job.batch_rows), job.batch_rows)
        with work.more(n_before) as parts:
            for answered in scored(task, lane, batches, n_before):
                parts.add(answered.batch, answered.n_errors)
                meter.add(len(answered.batch), answered.n_errors, source.fraction_read())
                show.meter(meter)
        if fingerprint(job.source) != manifest.input:
            work.is_usable = False
            raise BulkError(f"{job.source} was changed while it was read: run again with --restart")
        show.note(f"writing {job.out}")
        _publish(work, task, source, job)
        n_errors = meter.n_errors + sum(part.n_errors for part in before)
        return Done(
            version=task.version,
            n_rows=meter.n_done,
            n_errors=n_errors,
            n_before=n_before,
            took_s=time.monotonic() - began_s,
        )


def _manifest(job: Job, work: Work, source: Source, find: Callable[[], Served]) -> Manifest:
    """Of the run that is gone on with, or of a new one.

    Raises:
        BulkError: there is one, and it is another one.
    """
    # Without parts there is nothing to go on with, whatever was begun.
    begun = work.manifest() if not job.restart and work.parts() else None
    if begun is not None:
        _check_same(job, begun, work.folder)
        return begun
    served = find()
    _check(job, source, served)
    manifest = Manifest(input=fingerprint(job.source), served=served, method=job.method, keep=job.keep)
    work.begin(manifest)
    return manifest


def _check_same(job: Job, begun: Manifest, folder: Path) -> None:
    """Raises :class:`BulkError`: what is done belongs to another input, model, or way to ask."""
    differences = {
        "the input has changed since": begun.input != fingerprint(job.source),
        f"its model is {begun.served.model}": begun.served.model != job.model,
        f"its version is {begun.served.version}": job.version not in (None, begun.served.version),
        f"it has --method {begun.method}": begun.method != job.method,
        f"it has {' '.join(f'--keep {name}' for name in begun.keep) or 'no --keep'}": begun.keep != job.keep,
    }
    if found := [difference for difference, is_so in differences.items() if is_so]:
        raise BulkError(
            f"{folder} holds what another run has done ({found[0]}): run that one again, or begin anew with "
            "--restart"
        )


def _served(job: Job, server: redis.Redis, prefix: str, show: Show) -> Served:
    """What the model takes; an absent Redis is waited for.

    Another version than the one in service is taken to have its columns: if it has not, it refuses the rows.
    """
    until_s = time.monotonic() + job.timeout_s
    while True:
        try:
            served = served_model(server, prefix, job.model)
        except BrokerUnavailable as exc:
            if time.monotonic() > until_s:
                raise
            show.note(f"waiting: {exc}; at most {spoken(job.timeout_s)}")
            time.sleep(RETRY_S)
        else:
            show.note("")
            if job.version in (None, served.version):
                return served
            # What is announced of classes is the champion's: another version may have others.
            return msgspec.structs.replace(served, version=job.version, classes=None)


def _check(job: Job, source: Source, served: Served) -> None:
    """What would be refused for every row, before the first one is sent.

    Raises:
        UnknownMethod: the model has no such method.
        BadInput: the file does not have the columns.
    """
    if job.method not in served.methods:
        raise UnknownMethod(f"{job.model} answers {', '.join(served.methods)}; not {job.method!r:.40}")
    if not source.names:
        return
    has = f"{job.source} has {', '.join(source.names)}"
    for name in job.keep:
        if name not in source.names:
            raise BadInput(f"--keep {name!r:.60}: {has:.500}")
    for column in served.features:
        if column.name not in source.names:
            raise BadInput(f"{job.model} takes a column {column.name!r:.60}, and {has:.500}")
    for name in (*job.keep, *(column.name for column in served.features)):
        if source.names.count(name) > 1:
            raise BadInput(f"{job.source} has {source.names.count(name)} columns named {name!r:.60}")


def _task(job: Job, source: Source, served: Served) -> Task:
    """Raises :class:`BadInput`: a column to keep has the name of one that the output has anyway."""
    task = Task(
        features={column.name: column.dtype for column in served.features},
        blank_is_missing=source.blank_is_missing,
        keep=job.keep,
        version=served.version,
        method=job.method,
        classes=served.classes,
        window=job.window,
        stop_at_errors=job.stop_at_errors,
    )
    if taken := set(job.keep).intersection(columns_of(task, []).names):
        raise BadInput(
            f"--keep {taken.pop()!r}: the output has a column of that name; rename it in the input"
        )
    return task


def _publish(work: Work, task: Task, source: Source, job: Job) -> None:
    """Raises :class:`BulkError`: the disk refuses."""
    about = {"modelane.model": job.model, "modelane.version": task.version, "modelane.method": task.method}
    columns = columns_of(task, source.types(task.keep)).with_metadata(about)
    work.publish(columns, error_column=ERROR, with_errors=not task.stop_at_errors)
