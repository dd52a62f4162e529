"""Whole files or none."""

import glob
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["write_whole"]

_DAY = 86_400  # seconds


def write_whole(path: str | os.PathLike, content: bytes) -> Path:
    """Write a file so that a reader, or a kill at any moment, sees the old one or the new.

    What kills left beside it, a hidden half of the same file, goes after a day.

    Parameters
    ----------
    path : path
        Missing folders are made.
    content : bytes

    Returns
    -------
    Path
        ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _tidy(path)
    return path


def _tidy(path):
    """Remove halves that kills left; a young one may be what somebody else is writing."""
    for half in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - half.stat().st_mtime > _DAY:
                half.unlink()
