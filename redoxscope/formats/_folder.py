"""A folder that files can be written into."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["writable_folder"]

_PROBE = 1 << 16  # bytes; an empty file can be made on a disk that is full


def writable_folder(path: str | os.PathLike[str], what: str = "results", mode: int = 0o777) -> Path:
    """Make a folder where there is none, and see that files can be written into it.

    Parameters
    ----------
    path : path
        The folder; those above are made, too.
    what : str
        What it is for, in the message.
    mode : int
        Permissions of a folder that is made, less what the umask takes.

    Raises
    ------
    OSError
        It cannot be made, or not be written into (a file has its name, the disk is full or
        read-only, no permission); names the folder.
    """
    folder = Path(path)
    for part in (folder, *folder.parents):
        if part.exists():
            if not part.is_dir():
                above = "" if part == folder else f" ({part} is one)"
                raise NotADirectoryError(f"{folder}: a file, not a folder for {what}{above}")
            break
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _PROBE)
    except OSError as exc:
        raise OSError(f"{folder}: {what} cannot be written here: {exc.strerror}") from exc
    return folder
