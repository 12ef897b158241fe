"""What is done so far, in a folder beside the output.  run → WORK → write.

    OUT.partial/lock                  held while a run lasts; a kill releases it
                manifest.json         what the run is: input, model, version, options
                FIRST-ROWS-….arrow    answered rows: see parts
                part, whole           being written

The output is renamed into its place when it is whole; until then one of that name stays as it is.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec
import pyarrow as pa

from modelane import atomic_files
from modelane.broker.served_models import Served
from modelane.bulk.checkpoints import BEING_WRITTEN, SUFFIX, Part, Parts, whole_parts
from modelane.bulk.formats import format_of
from modelane.bulk.schemas import conform, unified
from modelane.bulk.writer import write_file
from modelane.errors import BulkError, ModelaneError

FORMAT = 1

_MANIFEST = "manifest.json"

#: Bytes at each end of the input that are hashed.
_END_BYTES = 2**20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What must not change while a run goes on."""

    format: int = FORMAT
    input: str  #: its fingerprint
    served: Served  #: the model, as it was in service when the run began
    method: str
    keep: tuple[str, ...]


class Work:
    """The folder of one output; as a context it holds the lock.

    Args:
        out: where the output will appear.

    Raises:
        BulkError: another run writes this output now, or the disk refuses.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(os.path.realpath(out))
        self.folder = self.out.with_name(self.out.name + ".partial")
        self._format = format_of(out)
        self._lock = -1
        self._is_ours = self._is_under_way = False
        self.is_usable = True  #: whether another run may go on with what is done

    def __enter__(self) -> Self:
        if self.out.is_dir():
            raise BulkError(f"{self.out} is a folder")
        with self.writing():
            self._lock = self._locked()
        self._is_ours = not (self.folder / _MANIFEST).exists()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Say what is kept, or leave nothing behind; a folder that was found and not used stays as it was."""
        with suppress(BulkError):  # damaged: whoever goes on is told
            n_rows = sum(part.n_rows for part in self.parts())
            if not n_rows and self._is_ours and self.folder.exists():
                self.discard()
            elif error is not None and self._is_under_way and self.is_usable:
                error.add_note(f"{n_rows:,} rows are done and kept: the same command goes on from there")
        os.close(self._lock)

    def manifest(self) -> Manifest | None:
        """Of the run that was begun here; None if none was.

        Raises:
            BulkError: it cannot be read.
        """
        try:
            return msgspec.json.decode((self.folder / _MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as exc:
            raise BulkError(f"{self.folder} cannot be read ({exc}): begin anew with --restart") from exc

    def begin(self, manifest: Manifest) -> None:
        """Forget what was done, if anything was; what comes now belongs to ``manifest``."""
        with self.writing():
            self._clear()
            self._is_ours = True
            atomic_files.replace(self.folder / _MANIFEST, msgspec.json.encode(manifest))

    def parts(self) -> list[Part]:
        """What is done.  Raises :class:`BulkError`: it is damaged."""
        return whole_parts(self.folder)

    @contextmanager
    def more(self, first_row: int) -> Iterator[Parts]:
        """Takes further answers; what came is kept, however this ends.

        Raises:
            BulkError: the disk refuses.
        """
        parts = Parts(self.folder, first_row)
        self._is_under_way = True
        try:
            with self.writing():
                yield parts
        except BaseException:
            with suppress(OSError, pa.ArrowException):
                parts.complete()
            raise
        with self.writing():
            parts.complete()

    def publish(self, columns: pa.Schema, *, error_column: str, with_errors: bool) -> None:
        """Write the output of all parts, put it in its place, and remove the folder.

        Args:
            columns: of an output without rows.
            error_column: stands last, and only if there are errors, or ``with_errors``.
            with_errors: whether it stands there in any case.
        """
        parts = self.parts()
        schema = unified([part.schema() for part in parts] or [columns])
        names = [name for name in schema.names if name != error_column]
        if with_errors or any(part.n_errors for part in parts):
            names.append(error_column)
        schema = pa.schema([schema.field(name) for name in names], metadata=columns.metadata)
        batches = (conform(batch, schema) for part in parts for batch in part.batches())
        with self.writing():
            write_file(self.folder / "whole", self._format, schema, batches)
            (self.folder / "whole").rename(self.out)
            atomic_files.sync_folder(self.out.parent)
            self.discard()

    def discard(self) -> None:
        """Remove the folder, and nothing in it that is not ours."""
        self._clear()
        (self.folder / "lock").unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raises :class:`BulkError`: the disk refuses."""
        try:
            yield
        except ModelaneError:  # TimedOut is an OSError, too
            raise
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            raise BulkError(f"{self.out} cannot be written: {why}") from exc

    def _clear(self) -> None:
        """The manifest first: without it, nobody takes the rest for a run to go on with."""
        for name in (_MANIFEST, BEING_WRITTEN, "whole"):
            (self.folder / name).unlink(missing_ok=True)
        for path in self.folder.glob(f"*{SUFFIX}"):
            path.unlink()

    def _locked(self) -> int:
        path = self.folder / "lock"
        while True:
            self.folder.mkdir(exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise BulkError(f"another `modelane score` is writing {self.out} now") from None
            except FileNotFoundError:
                pass  # whoever held it has just finished, and removed it
            os.close(lock)


def fingerprint(path: Path) -> str:
    """Changes when a file does: of its size, its time, and both its ends."""
    about = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(_END_BYTES))
        file.seek(max(0, about.st_size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return f"{about.st_size}-{about.st_mtime_ns}-{digest.hexdigest()}"
