"""Refuse a job that would fail for every row, before the first row is sent."""

from __future__ import annotations

from modelane.broker.served_models import Served
from modelane.bulk.job import Job
from modelane.bulk.output_columns import output_schema
from modelane.bulk.readers.base import Source
from modelane.errors import BadInput, UnknownMethod


def check_job(job: Job, source: Source, served: Served) -> None:
    """Raise an error if the model or the input file cannot do what the job asks for.

    Raises:
        UnknownMethod: the model does not have the method.
        BadInput: a column is missing, ambiguous, or has the name of a column of the answers.
    """
    if job.method not in served.methods:
        raise UnknownMethod(
            f"{job.model} has no method {job.method!r:.40}: it answers {', '.join(served.methods)}"
        )
    if taken := set(job.keep).intersection(output_schema(job.method, served.classes, []).names):
        raise BadInput(
            f"--keep {taken.pop()!r}: the answers have a column of this name; rename the one in {job.source}"
        )
    if source.names:
        _check_columns(job, source, served)


def _check_columns(job: Job, source: Source, served: Served) -> None:
    has = f"its columns are {', '.join(source.names)}"
    for name in job.keep:
        if name not in source.names:
            raise BadInput(f"--keep {name!r:.60}: {job.source} has no such column; {has:.500}")
    needed = [column.name for column in served.features]
    for name in needed:
        if name not in source.names:
            raise BadInput(f"{job.source} has no column {name!r:.60}, which {job.model} needs; {has:.500}")
    for name in (*job.keep, *needed):
        if (count := source.names.count(name)) > 1:
            raise BadInput(f"{job.source} has {count} columns named {name!r:.60}: rename all but one")
