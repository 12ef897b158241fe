"""Files that a crash leaves whole or absent.  store, signing, bulk → DURABLE → the disk.

A name appears only after its bytes have reached the disk, and is on the disk itself when
``replace`` or ``sync_folder`` returns.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelane.errors import UntrustedModel


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet.  For files that nobody looks for before a later rename.

    Raises:
        FileExistsError: it exists; it was not touched.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Exchange a file's content in one step.  One writer at a time: the caller holds the lock."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_new(beside, data)
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the folder's names to the disk, as ``fsync`` brings a file's bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """The bytes of a plain file of at most ``max_bytes``, refused before more than that is read.

    Raises:
        UntrustedModel: it is a link, a pipe or another thing that is not a plain file, or it is larger.
        FileNotFoundError: there is none.
    """
    if path.is_symlink():
        raise UntrustedModel(f"{path} is a link; the store holds plain files and folders only")
    # Without O_NONBLOCK a named pipe would hold the worker until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UntrustedModel(f"{path} is not a plain file")
        if found.st_size > max_bytes:
            raise UntrustedModel(f"{path} has {found.st_size} bytes, at most {max_bytes} are expected")
        return file.read(max_bytes)
