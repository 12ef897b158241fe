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
    except OSError as exc:
        reason = exc.strerror or str(exc)
        if isinstance(exc, FileNotFoundError):
            reason = "No such file or directory"  # Arrow's own words repeat the path
            if not Path(path).is_absolute():
                reason += f"; the path is relative to {Path.cwd()}"
        raise BadData(f"{path} cannot be read: {reason}") from exc


def too_large(what: str, max_bytes: int) -> BadData:
    """Return the error for a file, or the files of a folder, beyond the limit."""
    return BadData(
        f"{what} holds more than max_bytes={max_bytes:,} bytes of data: "
        "train on a part of it, or pass a larger max_bytes to the source"
    )
