"""The data folder: which one, made on first use, and missed where it is gone."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path

from redoxscope.formats import writable_folder

__all__ = ["CatalogError", "data_directory", "data_folder"]

log = logging.getLogger("redoxscope.storage")

MARKER = ".redoxscope"
_KNOWN = "data-folders"  # file below the user's state directory, one path a line
_KEPT = 1000  # lines


class CatalogError(RuntimeError):
    """Data folder or catalog cannot be used; the message names it and the reason."""


def data_directory(directory: str | os.PathLike[str] | None = None) -> Path:
    """Where runs are kept: document logs, photon lists, calibrations, embedded catalog.

    Parameters
    ----------
    directory : str or Path, optional
        Taken as it is when given.

    Returns
    -------
    Path
        ``directory``, else ``$REDOXSCOPE_DATA``, else the user's data directory of the
        platform (Linux: ``~/.local/share/redoxscope``). Absolute; not created.
    """
    import platformdirs

    chosen = (
        directory or os.environ.get("REDOXSCOPE_DATA") or platformdirs.user_data_dir("redoxscope")
    )
    return Path(chosen).expanduser().absolute()


def data_folder(directory: str | os.PathLike[str] | None = None) -> Path:
    """The data folder, made on first use.

    A folder that held runs before is not made anew when it is gone, as on a disk that is not
    mounted: its runs and scan numbers would seem to begin again.

    Parameters
    ----------
    directory : str or Path, optional
        As for :func:`data_directory`.

    Returns
    -------
    Path

    Raises
    ------
    CatalogError
        It was known and is gone or empty; it was named and the folder above it is not there; or
        it cannot be written.
    """
    folder = data_directory(directory)
    if not _is_used(folder):
        if str(folder) in _known():
            raise CatalogError(
                f"data folder {folder} held runs before, and "
                f"{'is empty' if folder.is_dir() else 'is not there'} now: is its disk mounted? "
                f"To begin anew there: {_begin_anew(folder)}"
            )
        named = directory or os.environ.get("REDOXSCOPE_DATA")
        if named and not folder.parent.exists():
            raise CatalogError(
                f"data folder {folder} cannot be made: {folder.parent} is not there. Is its disk "
                f"mounted? If it is right: {_begin_anew(folder)}"
            )
    try:
        writable_folder(folder, "runs", mode=0o700)  # what is in it is its owner's business
        (folder / MARKER).touch()
    except OSError as exc:
        raise CatalogError(f"data folder {exc}") from exc
    _remember(folder)
    return folder


def _is_used(folder: Path) -> bool:
    return any((folder / name).exists() for name in (MARKER, "catalog.db", "documents"))


def _begin_anew(folder: Path) -> str:
    return f"mkdir -p {shlex.quote(str(folder))} && touch {shlex.quote(str(folder / MARKER))}"


def _known_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("redoxscope")) / _KNOWN


def _known() -> list[str]:
    try:
        return _known_file().read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        log.warning("the list of data folders cannot be read: %s", exc)
        return []


def _remember(folder: Path) -> None:
    known = _known()
    if str(folder) in known:
        return
    file = _known_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_text("\n".join([*known[1 - _KEPT :], str(folder), ""]), encoding="utf-8")
        new.replace(file)
    except OSError as exc:  # the folder can be used, it is only not missed when it is gone
        log.warning("data folder %s cannot be remembered in %s: %s", folder, file, exc.strerror)
