"""Paths in URIs, as Tiled and the bluesky documents have them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs

__all__ = ["file_uri", "path_of_uri", "plain_path"]

_CUT = frozenset("#?") | {*map(chr, range(32)), "\x7f"}
"""What ends the path of a URI for whoever takes one apart, or is taken out of it unasked (Python
drops line ends and tabs)."""


def plain_path(path: str | os.PathLike[str]) -> Path:
    """The same place under a path that a URI can hold.

    Tiled takes the path out of a URI as it is: it decodes no "%23", and cuts the path off at a
    "#" or "?", and loses line ends and tabs. So a folder with one of these gets a second name, a
    symbolic link in the user's data directory.

    Parameters
    ----------
    path : path
        A file or folder; it need not exist.

    Returns
    -------
    Path
        The absolute path itself, where it is plain.

    Raises
    ------
    ValueError
        The link has no plain path either, or the name of a file is not plain.
    OSError
        The link cannot be made.
    """
    path = Path(path).absolute()
    marked = [part for part in (path, *path.parents) if _CUT & set(part.name)]
    if not marked:
        return path
    folder = marked[0]  # the deepest: everything below is plain
    links = Path(platformdirs.user_data_dir("redoxscope-links"))
    if _CUT & set(str(links)) or folder.is_file():
        raise ValueError(
            f"{str(path)!r}: '#', '?' or a control character in a path, which no URI can hold"
        )
    link = links / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    links.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder, target_is_directory=True)
    return link / path.relative_to(folder)


def file_uri(path: str | os.PathLike[str]) -> str:
    """URI of a file for ``stream_resource``: "%", blanks and accents as they are.

    Raises
    ------
    ValueError, OSError
        As :func:`plain_path`.
    """
    plain = plain_path(path)
    if plain.drive:
        raise ValueError(f"{path}: a path with a drive cannot be announced")
    return f"file://localhost{plain}"


def path_of_uri(uri: str) -> Path:
    """Path of a local file's URI, the inverse of :func:`file_uri`.

    Others write "%20" for a blank: that is decoded where no file is called so.

    Raises
    ------
    ValueError
        It names no local file.
    """
    address = urlsplit(uri)
    if address.scheme != "file":
        raise ValueError(f"no local file: {uri}")
    path, decoded = Path(address.path), Path(unquote(address.path))
    return decoded if decoded.exists() and not path.exists() else path
