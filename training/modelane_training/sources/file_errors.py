"""The errors of sources that read files, in one wording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelane.errors import BadData


@contextmanager
def file_errors(path: str | Path) -> Iterator[None]:
    """Turn what the file system raises into an error that names the path.

    Raises:
        BadData: the file or folder does not exist, or cannot be read.
    """
    try:
        yield
    except FileNotFoundError as exc:
        hint = "" if Path(path).is_absolute() else f"; the path is relative to {Path.cwd()}"
        raise BadData(f"{path} does not exist{hint}") from exc
    except OSError as exc:
        raise BadData(f"{path} cannot be read: {exc.strerror or exc}") from exc


def too_large(what: str, max_bytes: int) -> BadData:
    """Return the error for a file, or the files of a folder, beyond the limit."""
    return BadData(
        f"{what} holds more than max_bytes={max_bytes:,} bytes of data: "
        "train on a part of it, or pass a larger max_bytes to the source"
    )
