"""A folder for results."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["writable_folder"]


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder where there is none, and see that files can be written into it.

    Raises
    ------
    OSError
        It cannot be made, or not be written into; names the folder.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise NotADirectoryError(f"{folder}: a file, not a folder for results") from None
    except OSError as exc:
        raise OSError(f"{folder}: results cannot be written here: {exc.strerror}") from exc
    return folder
