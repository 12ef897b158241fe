"""Write files that a crash leaves either complete or absent, and read them safely.

A file appears under its name only after its content has reached the disk. The name itself has reached the
disk when ``replace`` or ``sync_folder`` returns. Used by the model store, the signing keys and bulk scoring.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from modelane.errors import UntrustedModel


def write_new(path: Path, data: bytes) -> None:
    """Write and sync a new file that no reader looks for before a later rename.

    Raises:
        FileExistsError: the file exists; it was not changed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Replace a file's content atomically. Allows one writer at a time: the caller holds the lock."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    write_new(beside, data)
    beside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, as ``fsync`` syncs the content of a file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Return the content of a regular file, without ever reading more than ``max_bytes``.

    Raises:
        UntrustedModel: the path is a link, a pipe or anything else but a regular file, or the file is larger.
        FileNotFoundError: the file does not exist.
    """
    if path.is_symlink():
        raise UntrustedModel(f"{path} is a link: the model store may contain only regular files and folders")
    # Without O_NONBLOCK, opening a named pipe would block the worker until something is written to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise UntrustedModel(
                f"{path} is not a regular file: the model store may contain only regular files and folders"
            )
        if found.st_size > max_bytes:
            raise UntrustedModel(f"{path} has {found.st_size} bytes: expected at most {max_bytes}")
        return file.read(max_bytes)
