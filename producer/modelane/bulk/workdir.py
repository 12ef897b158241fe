"""The folder next to the output that keeps the results of an unfinished run.

    OUT.partial/lock                   locked while a run lasts; a crash releases the lock
                manifest.json          identifies the run: see manifest
                FIRST-ROWS-….arrow     scored rows: see checkpoints
                part, whole            files that are being written

The finished output is renamed to its place in one step. A file that is already there stays unchanged until
then.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa

from modelane import atomic_files
from modelane.bulk.checkpoints import SUFFIX, UNFINISHED, Part, PartWriter, finished_parts
from modelane.bulk.formats import format_of
from modelane.bulk.manifest import Manifest
from modelane.bulk.output_columns import ERROR
from modelane.bulk.schemas import conform, unified
from modelane.bulk.writer import write_file
from modelane.errors import BulkError, ModelaneError

_MANIFEST = "manifest.json"
_LOCK = "lock"
_WHOLE = "whole"


class WorkDir:
    """The work folder of one output; holds its lock as a context manager.

    Args:
        out: the output file.

    Attributes:
        out: the output file with all links resolved.
        folder: the work folder.
        is_resumable: whether another run may use the saved rows.

    Raises:
        BulkError: the name of the output has an unknown ending.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(os.path.realpath(out))
        self.folder = self.out.with_name(self.out.name + ".partial")
        self.is_resumable = True
        self._format = format_of(out)
        self._lock = -1
        self._is_ours = self._is_started = False

    def __enter__(self) -> Self:
        """Create and lock the folder.

        Raises:
            BulkError: another run is writing this output, or the folder cannot be created.
        """
        if self.out.is_dir():
            raise BulkError(f"cannot write {self.out}: it is a folder")
        with self._disk_errors():
            self._lock = self._acquire()
        self._is_ours = not (self.folder / _MANIFEST).exists()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Release the lock. Remove the folder if this run saved nothing; otherwise note how to resume.

        The folder of an earlier run that was not resumed stays unchanged.
        """
        with suppress(BulkError):  # a damaged folder is reported to the next run
            n_rows = sum(part.n_rows for part in self.parts())
            if not n_rows and self._is_ours and self.folder.exists():
                self.discard()
            elif error is not None and self._is_started and self.is_resumable:
                error.add_note(f"{n_rows:,} rows are scored and saved: run the same command again to resume")
        os.close(self._lock)

    def manifest(self) -> Manifest | None:
        """Return the manifest of the unfinished run in this folder; None: there is none.

        Raises:
            BulkError: it cannot be read.
        """
        try:
            return msgspec.json.decode((self.folder / _MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            raise BulkError(
                f"cannot read {self.folder / _MANIFEST} ({exc}): start over with --restart"
            ) from exc

    def begin(self, manifest: Manifest) -> None:
        """Discard saved rows, if there are any, and begin a new run."""
        with self._disk_errors():
            self._clear()
            self._is_ours = True
            atomic_files.replace(self.folder / _MANIFEST, msgspec.json.encode(manifest))

    def parts(self) -> list[Part]:
        """Return the saved parts.

        Raises:
            BulkError: a part is missing.
        """
        return finished_parts(self.folder)

    @contextmanager
    def append(self, first_row: int) -> Iterator[PartWriter]:
        """Save further rows. What was added is kept, also if the block ends with an error.

        Args:
            first_row: number of the first row that is not saved yet.

        Raises:
            BulkError: the folder cannot be written.
        """
        parts = PartWriter(self.folder, first_row)
        self._is_started = True
        try:
            with self._disk_errors():
                yield parts
        except BaseException:
            with suppress(OSError, pa.ArrowException):
                parts.complete()
            raise
        with self._disk_errors():
            parts.complete()

    def publish(self, columns: pa.Schema, *, with_errors: bool) -> None:
        """Write the output from all parts, move it to its place, and remove the folder.

        Args:
            columns: the columns of an output without rows.
            with_errors: whether the column of errors is written even if no row failed.

        Raises:
            BulkError: the output cannot be written.
        """
        parts = self.parts()
        schema = unified([part.schema() for part in parts] or [columns])
        names = [name for name in schema.names if name != ERROR]
        if with_errors or any(part.n_errors for part in parts):
            names.append(ERROR)
        schema = pa.schema([schema.field(name) for name in names], metadata=columns.metadata)
        batches = (conform(batch, schema) for part in parts for batch in part.batches())
        with self._disk_errors():
            write_file(self.folder / _WHOLE, self._format, schema, batches)
            (self.folder / _WHOLE).rename(self.out)
            atomic_files.sync_folder(self.out.parent)
            self.discard()

    def discard(self) -> None:
        """Remove the folder; files that are not of this module stay."""
        self._clear()
        (self.folder / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except ModelaneError:  # TimedOut is an OSError too
            raise
        except OSError as exc:
            reason = os.strerror(exc.errno) if exc.errno else str(exc)
            raise BulkError(f"cannot write {self.out}: {reason}") from exc

    def _clear(self) -> None:
        """Remove the manifest first: without it, no other run resumes from the rest."""
        for name in (_MANIFEST, UNFINISHED, _WHOLE):
            (self.folder / name).unlink(missing_ok=True)
        for path in self.folder.glob(f"*{SUFFIX}"):
            path.unlink()

    def _acquire(self) -> int:
        """Return a locked file descriptor of the lock file."""
        path = self.folder / _LOCK
        while True:
            self.folder.mkdir(exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise BulkError(
                    f"another `modelane score` is writing {self.out}: wait until it has finished, "
                    "or choose another output file"
                ) from None
            except FileNotFoundError:
                pass  # the run that held the lock has just finished and removed the folder
            os.close(lock)
