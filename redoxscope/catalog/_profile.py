"""Opening the catalog, and making the embedded one on first use."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

__all__ = ["CatalogError", "data_directory", "open_catalog"]

DEFAULT_PROFILE = "redoxscope"
_SPEC = {"name": "CatalogOfBlueskyRuns", "version": "3.0"}
_WRITE_TIMEOUT = 60.0  # s; another session storing a long run takes some ten
# As Tiled does for catalog.db: readers do not block the writer, nor it them. In a process of its
# own because this one may have the file open through ADBC, which carries its own copy of SQLite:
# POSIX locks know only processes, and closing a file in one copy drops the locks of the other.
_SET_WAL = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode=WAL')"
_INIT_TIMEOUT = 120.0  # s; a cold import of tiled from a network disk takes tens of seconds


class CatalogError(RuntimeError):
    """The catalog cannot be opened or written; the message names profile and reason."""


def data_directory(directory: str | os.PathLike[str] | None = None) -> Path:
    """Where the embedded catalog and the document logs live.

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


def open_catalog(
    profile: str = DEFAULT_PROFILE, directory: str | os.PathLike[str] | None = None
) -> Any:
    """Open the catalog of runs, making an embedded one on first use.

    The catalog is a Tiled *profile*, found where Tiled looks for profiles
    (``tiled profile paths``; ``$TILED_PROFILES`` replaces the user's folder). A profile that
    exists is used as it is, so a facility points the name at its own server. Otherwise, for
    the default name or where a directory is given, an embedded catalog is made: no server
    process and no port, just SQLite and files below ``directory``. From then on
    ``databroker.catalog[profile]`` opens the same catalog in any process.

    Parameters
    ----------
    profile : str
        Name of the Tiled profile.
    directory : str or Path, optional
        Where a new embedded catalog keeps its data; default :func:`data_directory`.

    Returns
    -------
    bluesky_tiled_plugins.clients.catalog_of_bluesky_runs.CatalogOfBlueskyRuns
        ``catalog[-1]`` is the latest run, ``catalog[uid]`` a (partial) uid,
        ``catalog[scan_id]`` a positive integer.

    Raises
    ------
    ValueError
        The profile's name cannot be a file name, or another name than the default is unknown.
    CatalogError
        The catalog cannot be made or opened, or holds no runs container.

    Notes
    -----
    The first call of a process takes several seconds (imports) and is not for the inside of a
    scan. Several processes may have the catalog open, reading and writing.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", profile):
        raise ValueError(f"profile {profile!r}: letters, digits, '_', '.' and '-' only")
    with _quiet_tiled():
        found = _find_profile(profile)
        if found is None:
            if profile != DEFAULT_PROFILE and directory is None:
                raise ValueError(
                    f"profile {profile!r} is unknown to Tiled (it knows {_known_profiles()}); "
                    "give a directory to make an embedded catalog under that name"
                )
            found = _create_profile(profile, data_directory(directory))
        _check_embedded(profile, found, directory)
        return _runs_container(profile, _connect(profile))


def _connect(profile: str) -> Any:
    from tiled.client import from_profile

    try:
        return from_profile(profile)
    except Exception as exc:
        # Whatever is wrong (server down, file missing, token refused), the user needs the
        # profile's name and the reason, not a stack of ASGI frames.
        source = _find_profile(profile)
        raise CatalogError(
            f"catalog profile {profile!r} ({source[0] if source else 'not found'}) cannot be "
            f"opened: {type(exc).__name__}: {exc}"
        ) from exc


def _runs_container(profile: str, client: Any) -> Any:
    from bluesky_tiled_plugins.clients.catalog_of_bluesky_runs import CatalogOfBlueskyRuns

    if isinstance(client, CatalogOfBlueskyRuns):
        return client
    # A facility's profile may point at the server's root.
    raw = client["raw"] if "raw" in client else None
    if isinstance(raw, CatalogOfBlueskyRuns):
        return raw
    raise CatalogError(
        f"catalog profile {profile!r} opens {type(client).__name__} {client.uri}, which is neither "
        "a CatalogOfBlueskyRuns nor holds one named 'raw'"
    )


def _find_profile(profile: str) -> tuple[Path, Mapping[str, Any]] | None:
    from tiled.profiles import load_profiles

    load_profiles.cache_clear()  # another process, or we, may have made it since
    return load_profiles().get(profile)


def _known_profiles() -> list[str]:
    from tiled.profiles import load_profiles

    return sorted(load_profiles())


def _embedded_directory(content: Mapping[str, Any]) -> Path | None:
    """Data directory of a profile made here, None of any other."""
    for tree in content.get("direct", {}).get("trees", ()):
        metadata = tree.get("args", {}).get("metadata") or {}
        if metadata.get("application") == "redoxscope":
            return Path(metadata["directory"])
    return None


def _check_embedded(
    profile: str, found: tuple[Path, Mapping[str, Any]], wanted: str | os.PathLike[str] | None
) -> None:
    source, content = found
    actual = _embedded_directory(content)
    if actual is None:
        return
    asked = data_directory(wanted)
    if (wanted or os.environ.get("REDOXSCOPE_DATA")) and asked != actual:
        warnings.warn(
            f"catalog profile {profile!r} exists and keeps its data in {actual}, not in {asked}; "
            f"to move it, remove {source}",
            stacklevel=3,
        )
    if not (actual / "catalog.db").exists():  # the data were removed, the profile left
        _initialise(actual)


def _create_profile(profile: str, directory: Path) -> tuple[Path, Mapping[str, Any]]:
    import tiled.profiles
    import yaml

    _initialise(directory)
    content = {profile: _embedded_profile(directory)}
    path = tiled.profiles.paths[-1] / f"{profile}.yml"
    header = (
        "# Embedded redoxscope catalog, made on first use. Replace this file by a profile with\n"
        "# the uri of a Tiled server to use that instead; it is never overwritten.\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked, so that no other process reads half a profile; a name
        # without .yml, so that Tiled does not read it before.
        temporary = path.with_name(f".{profile}.{os.getpid()}")
        temporary.write_text(header + yaml.safe_dump(content, sort_keys=False))
        try:
            with contextlib.suppress(FileExistsError):  # another process was first: use its own
                os.link(temporary, path)
        finally:
            temporary.unlink()
    except OSError as exc:
        raise CatalogError(f"catalog profile {path} cannot be written: {exc.strerror}") from exc
    found = _find_profile(profile)
    if found is None:
        raise CatalogError(f"catalog profile {path} was written but Tiled does not find it")
    return found


def _embedded_profile(directory: Path) -> dict[str, Any]:
    """Tiled service configuration: one root container of runs, tables in SQLite."""
    return {
        "direct": {
            # In-process: whoever can read the files can read the data.
            "authentication": {"allow_anonymous_access": True},
            "trees": [
                {
                    "path": "/",
                    "tree": "catalog",
                    "args": {
                        "uri": f"sqlite:///{directory / 'catalog.db'}",
                        "specs": [_SPEC],
                        "metadata": {"application": "redoxscope", "directory": str(directory)},
                        "writable_storage": [
                            str(directory / "files"),
                            f"sqlite:///{directory / 'tables.db'}",
                        ],
                        # Detector files announced by stream_resource documents.
                        "readable_storage": [str(directory)],
                    },
                }
            ],
            "media_types": {
                "BlueskyRun": {
                    "application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter"
                }
            },
        }
    }


def _initialise(directory: Path) -> None:
    """Make the databases, once: ``init_if_not_exists`` would cost seconds at every opening."""
    try:
        (directory / "files").mkdir(parents=True, exist_ok=True)
        with (directory / ".initialise.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first sessions at once: the second waits
            catalog = f"sqlite:///{directory / 'catalog.db'}"
            _python("-m", "tiled", "catalog", "init", "--if-not-exists", catalog)
            _python("-c", _SET_WAL, str(directory / "tables.db"))
    except OSError as exc:
        raise CatalogError(f"catalog in {directory} cannot be made: {exc.strerror}") from exc
    except subprocess.CalledProcessError as exc:
        reason = exc.stderr.strip().splitlines()[-1:] or ["no message"]
        raise CatalogError(f"catalog in {directory} cannot be made: {reason[0]}") from exc
    except subprocess.TimeoutExpired as exc:
        raise CatalogError(f"catalog in {directory} cannot be made: {exc}") from exc


def _python(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=_INIT_TIMEOUT,
    )


@contextlib.contextmanager
def writing(catalog: Any, timeout: float = _WRITE_TIMEOUT) -> Iterator[None]:
    """Hold the right to write to an embedded catalog; no more than that for a server's.

    Tiled's SQLite tables have no busy time-out: of two processes that write at once, one fails.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        The catalog.
    timeout : float
        How long to wait for another process, in s.

    Raises
    ------
    CatalogError
        Another process has been writing all that time; the message names it.
    """
    metadata = catalog.metadata
    if metadata.get("application") != "redoxscope":
        yield
        return
    path = Path(metadata["directory"]) / ".write.lock"
    with path.open("a+") as lock:
        _wait_for(lock, timeout)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _wait_for(lock: TextIO, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                lock.seek(0)
                raise CatalogError(
                    f"catalog locked: process {lock.read() or '?'} has been writing to it for "
                    f"{timeout:g} s ({lock.name})"
                ) from None
            # flock cannot wait for a limited time; there is nothing else to be woken by.
            threading.Event().wait(0.05)


@contextlib.contextmanager
def _quiet_tiled() -> Iterator[None]:
    """Keep Tiled's import warning and start-up line off the user's screen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*httpx.*starlette.testclient.*")
        import tiled.server.app  # noqa: F401  (sets its logger's level when imported)

        logger = logging.getLogger("tiled.server.app")
        level = logger.level
        logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            logger.setLevel(level)
