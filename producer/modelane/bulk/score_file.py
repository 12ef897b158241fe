"""Run one job of ``modelane score``, from its first check to the finished output file.

A new run writes a manifest next to the output. If a manifest of the same job is already there with results,
the run resumes after the last saved row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import msgspec
import redis

from modelane.broker.connection import connect
from modelane.broker.served_models import Served, served_model
from modelane.bulk.client_lane import ClientLane
from modelane.bulk.job import Job, Summary
from modelane.bulk.manifest import Manifest, fingerprint
from modelane.bulk.output_columns import output_schema
from modelane.bulk.preflight import check_job
from modelane.bulk.progress import Display, Meter, format_duration
from modelane.bulk.readers.base import Source
from modelane.bulk.readers.open_file import open_source, resized
from modelane.bulk.scorer import Scorer
from modelane.bulk.stall_watch import StallWatch
from modelane.bulk.workdir import WorkDir
from modelane.client import Client
from modelane.client.options import Options
from modelane.errors import BrokerUnavailable, BulkError
from modelane.settings import Settings

#: Seconds between two attempts to reach Redis.
RETRY_S = 0.5


def score_file(job: Job, settings: Settings, display: Display) -> Summary:
    """Score all rows of the input file and write the output file.

    The work folder keeps what was scored before an error, and a later run of the same job resumes from there.

    Args:
        job: what to do.
        settings: of the client.
        display: shows the progress.

    Raises:
        BulkError: a file cannot be read or written, a row cannot be scored, or an unfinished run differs.
        BadInput: the columns of the input do not fit the model.
        UnknownMethod: the model does not have the method.
        UnknownModel: no worker serves the model.
        TimedOut: no answer within the job's timeout.
        BrokerUnavailable: Redis did not answer within the job's timeout.
    """
    started_s = time.monotonic()
    source = open_source(job.source)
    with ExitStack() as cleanup:
        work = cleanup.enter_context(WorkDir(job.out))
        if work.out == job.source.resolve():
            raise BulkError(f"the output {job.out} is also the input: choose another output file")
        server = cleanup.enter_context(connect(settings))
        client = cleanup.enter_context(Client(settings=settings))
        manifest = _manifest(job, work, source, lambda: _find_model(job, server, settings.prefix, display))
        served = manifest.served
        options: Options = {"method": job.method, "version": served.version, "priority": job.priority}
        lane = ClientLane(
            client, server, settings.prefix, job.model, timeout_s=job.timeout_s, options=options
        )
        scorer = Scorer(job, served, lane, blank_is_missing=source.blank_is_missing)
        earlier = work.parts()
        n_resumed = sum(part.n_rows for part in earlier)
        meter = Meter(n_resumed, source.n_rows)
        cleanup.enter_context(StallWatch(meter, display, lane.trouble, job.timeout_s))
        batches = resized(source.batches(scorer.columns, n_resumed, job.batch_rows), job.batch_rows)
        with work.append(n_resumed) as parts:
            for scored in scorer.score(batches, n_resumed):
                parts.add(scored.rows, scored.n_errors)
                meter.add(len(scored.rows), scored.n_errors, source.fraction_read())
                display.meter(meter)
        if fingerprint(job.source) != manifest.input:
            work.is_resumable = False
            raise BulkError(f"{job.source} changed while it was read: start over with --restart")
        display.note(f"writing {job.out}")
        _publish(job, work, source, served)
        return Summary(
            version=served.version,
            n_rows=meter.n_done,
            n_errors=meter.n_errors + sum(part.n_errors for part in earlier),
            n_resumed=n_resumed,
            took_s=time.monotonic() - started_s,
        )


def _manifest(job: Job, work: WorkDir, source: Source, find: Callable[[], Served]) -> Manifest:
    """Return the manifest of the run to resume, or begin a new run.

    Raises:
        BulkError: there is an unfinished run of another job.
    """
    # A run without saved rows is not worth resuming, so it does not stand in the way of another job.
    earlier = work.manifest() if not job.restart and work.parts() else None
    if earlier is not None:
        earlier.check_same(job, work.folder)
        return earlier
    served = find()
    check_job(job, source, served)
    manifest = Manifest.of(job, served)
    work.begin(manifest)
    return manifest


def _find_model(job: Job, server: redis.Redis, prefix: str, display: Display) -> Served:
    """Return what the model accepts; retry while Redis does not answer.

    If the job names another version than the one in service, its columns are assumed to be the same. If they
    are not, that version refuses the rows.
    """
    give_up_at = time.monotonic() + job.timeout_s
    while True:
        try:
            served = served_model(server, prefix, job.model)
        except BrokerUnavailable as exc:
            if time.monotonic() > give_up_at:
                raise
            display.note(f"waiting up to {format_duration(job.timeout_s)}: {exc}")
            time.sleep(RETRY_S)
        else:
            display.note("")
            if job.version in (None, served.version):
                return served
            # The announced classes are the champion's; another version may have others.
            return msgspec.structs.replace(served, version=job.version, classes=None)


def _publish(job: Job, work: WorkDir, source: Source, served: Served) -> None:
    """Write the output file.

    Raises:
        BulkError: the file cannot be written.
    """
    metadata = {
        "modelane.model": job.model,
        "modelane.version": served.version,
        "modelane.method": job.method,
    }
    schema = output_schema(job.method, served.classes, source.types(job.keep)).with_metadata(metadata)
    work.publish(schema, with_errors=job.on_error == "column")
