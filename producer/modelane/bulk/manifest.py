"""What identifies an unfinished run, so that only the same job resumes it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from modelane.broker.served_models import Served
from modelane.bulk.job import Job
from modelane.errors import BulkError

FORMAT = 1

#: Bytes at each end of the input that are hashed.
_END_BYTES = 2**20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a run that must not change when it is resumed."""

    format: int = FORMAT
    input: str  #: fingerprint of the input file
    served: Served  #: the model as it was in service when the run began
    method: str
    keep: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, served: Served) -> Manifest:
        return cls(input=fingerprint(job.source), served=served, method=job.method, keep=job.keep)

    def check_same(self, job: Job, folder: Path) -> None:
        """Raise an error if a job cannot resume this run.

        Args:
            job: the job.
            folder: where the results of this run are, for the error message.

        Raises:
            BulkError: the input, the model, the version, the method or the kept columns differ.
        """
        keep = " ".join(f"--keep {name}" for name in self.keep)
        differences = {
            "the input has changed since": self.input != fingerprint(job.source),
            f"its model is {self.served.model}": self.served.model != job.model,
            f"its version is {self.served.version}": job.version not in (None, self.served.version),
            f"it uses --method {self.method}": self.method != job.method,
            f"it uses {keep or 'no --keep'}": self.keep != job.keep,
        }
        if found := [difference for difference, differs in differences.items() if differs]:
            raise BulkError(
                f"{folder} holds the results of an unfinished run that differs from this one ({found[0]}): "
                "repeat the other command to finish it, or discard its results with --restart"
            )


def fingerprint(path: Path) -> str:
    """Return a text that changes with a file: its size, modification time, and a hash of both its ends."""
    stat = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_END_BYTES))
        file.seek(max(0, stat.st_size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return f"{stat.st_size}-{stat.st_mtime_ns}-{digest.hexdigest()}"
