"""The catalogs of a process, each opened once."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from ._folder import data_directory
from ._profile import open_catalog

__all__ = ["shared_catalog"]


def shared_catalog(profile: str, directory: Path | None) -> Any:
    """As `open_catalog`, once for all writers of the process.

    Each that is opened has threads and files of its own. It is not closed with a session, so that
    runs that were read from it can still be used.
    """
    folder = data_directory(directory)
    there = folder.stat() if folder.exists() else None
    # A folder that was deleted and made anew is another one, under the same name.
    key = None if there is None else (there.st_dev, there.st_ino)
    if key is None:  # it is made now, and known the next time
        return open_catalog(profile, directory)
    return _opened(profile, directory, (*key, os.environ.get("TILED_PROFILES")))


@cache
def _opened(profile: str, directory: Path | None, key: tuple[Any, ...]) -> Any:
    return open_catalog(profile, directory)
