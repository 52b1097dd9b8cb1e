"""Opening the catalog: a facility's profile, or the one embedded in the data folder."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ._embedded import TREE, make_embedded, service
from ._folder import CatalogError, data_directory

__all__ = ["DEFAULT_PROFILE", "facility_profile", "open_catalog", "opening_lines"]

log = logging.getLogger("redoxscope.storage")

DEFAULT_PROFILE = "redoxscope"
_HEADER = """\
# Embedded redoxscope catalog, made on first use. Replace this file by a profile with the uri of a
# Tiled server to use that instead; it is never overwritten.
"""
Found = tuple[Path, Mapping[str, Any]]


def open_catalog(
    profile: str = DEFAULT_PROFILE, directory: str | os.PathLike[str] | None = None
) -> Any:
    """Open the catalog of runs, making an embedded one on first use.

    A Tiled *profile* of that name that somebody else made (``tiled profile list``) is used as it
    is: a facility points the name at its own server. Otherwise the catalog is embedded in the
    data folder: no server process and no port, just SQLite and files. A profile that opens it is
    made on first use: ``databroker.catalog["redoxscope"]`` opens the catalog of
    ``$REDOXSCOPE_DATA``, else of the user's data directory, in any process.

    Parameters
    ----------
    profile : str
        Name of the Tiled profile.
    directory : str or Path, optional
        Data folder of an embedded catalog; default :func:`data_directory`.

    Returns
    -------
    bluesky_tiled_plugins.clients.catalog_of_bluesky_runs.CatalogOfBlueskyRuns
        ``catalog[-1]`` is the run that started last, ``catalog[uid]`` a (partial) uid,
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
    _check_name(profile)
    with _quiet_tiled():
        found = _find_profile(profile)
        if found is not None and not _is_ours(found):
            return _runs_container(profile, _without_bars(_connect(profile, found)))
        if found is None and profile != DEFAULT_PROFILE and directory is None:
            raise ValueError(
                f"profile {profile!r} is unknown to Tiled (it knows {_known_profiles()}); "
                "give a directory to make an embedded catalog under that name"
            )
        folder = make_embedded(directory or (found and _folder_of(found)))
        if found is None or _is_former(found):
            if found is not None:
                found[0].unlink(missing_ok=True)  # another process may be doing the same
            _offer(profile, None if profile == DEFAULT_PROFILE else folder)
        elif data_directory(_folder_of(found)) != folder:
            warnings.warn(
                f"the catalog is that of {folder}; databroker.catalog[{profile!r}] opens that of "
                f"{data_directory(_folder_of(found))}. For this one set REDOXSCOPE_DATA, or use "
                "redoxscope.storage.open_catalog(directory=...)",
                stacklevel=2,
            )
        return _runs_container(profile, _without_bars(_open_embedded(folder)))


def facility_profile(profile: str) -> Path | None:
    """File of a profile that somebody else made; None where runs go into the data folder."""
    _check_name(profile)
    with _quiet_tiled(server=False):
        found = _find_profile(profile)
    return None if found is None or _is_ours(found) else found[0]


def opening_lines(
    profile: str = DEFAULT_PROFILE, directory: str | os.PathLike[str] | None = None
) -> list[str]:
    """Lines of Python that open, in a new process, the catalog that `open_catalog` opens here."""
    with _quiet_tiled(server=False):
        found = _find_profile(profile)
    folder = data_directory(directory)
    if found is not None and (not _is_ours(found) or data_directory(_folder_of(found)) == folder):
        return ["import databroker", f'catalog = databroker.catalog["{profile}"]']
    return [
        "from redoxscope.storage import open_catalog",
        f'catalog = open_catalog("{profile}", "{folder}")',
    ]


def _check_name(profile: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", profile):
        raise ValueError(f"profile {profile!r}: letters, digits, '_', '.' and '-' only")


def _without_bars(client: Any) -> Any:
    """Read in silence, unless the user wants bars: Tiled has one for each column of each run."""
    if "TILED_SHOW_PROGRESS" not in os.environ:
        client.context.show_progress = False
    return client


def _connect(profile: str, found: Found) -> Any:
    from tiled.client import from_profile

    try:
        return from_profile(profile)
    except Exception as exc:
        # Whatever is wrong (server down, file missing, token refused), the user needs the
        # profile's name and the reason, not a stack of ASGI frames.
        raise CatalogError(
            f"catalog profile {profile!r} ({found[0]}) cannot be opened: "
            f"{type(exc).__name__}: {exc}"
        ) from exc


def _open_embedded(folder: Path) -> Any:
    from tiled.client.constructors import from_context
    from tiled.client.context import Context
    from tiled.server.app import build_app_from_config

    try:
        return from_context(Context.from_app(build_app_from_config(service(folder))))
    except CatalogError:
        raise
    except Exception as exc:  # as in _connect
        raise CatalogError(
            f"catalog in {folder} cannot be opened: {type(exc).__name__}: {exc}"
        ) from exc


def _runs_container(profile: str, client: Any) -> Any:
    from bluesky_tiled_plugins.clients.catalog_of_bluesky_runs import CatalogOfBlueskyRuns

    runs = client
    if not isinstance(runs, CatalogOfBlueskyRuns) and "raw" in client:
        runs = client["raw"]  # a facility's profile may point at the server's root
    if isinstance(runs, CatalogOfBlueskyRuns):
        return runs.sort(("start.time", 1))  # a run that is recovered later is not the latest
    raise CatalogError(
        f"catalog profile {profile!r} opens {type(client).__name__} {client.uri}, which is neither "
        "a CatalogOfBlueskyRuns nor holds one named 'raw'"
    )


def _find_profile(profile: str) -> Found | None:
    from tiled.profiles import load_profiles

    load_profiles.cache_clear()  # another process, or we, may have made it since
    return load_profiles().get(profile)


def _known_profiles() -> list[str]:
    from tiled.profiles import load_profiles

    return sorted(load_profiles())


def _is_former(found: Found) -> bool:
    """Whether it was made by an earlier version: with a folder in it, or a module that moved."""
    trees = found[1].get("direct", {}).get("trees", ())
    metadata = [(tree.get("args") or {}).get("metadata") or {} for tree in trees]
    if [data.get("application") for data in metadata] == ["redoxscope"]:
        return True
    named = [str(tree.get("tree")) for tree in trees]
    return len(named) == 1 and named[0] != TREE and named[0].startswith("redoxscope.")


def _is_ours(found: Found) -> bool:
    trees = found[1].get("direct", {}).get("trees", ())
    return _is_former(found) or [tree.get("tree") for tree in trees] == [TREE]


def _folder_of(found: Found) -> str | None:
    """Data folder that a profile of ours names."""
    directory: str | None = found[1]["direct"]["trees"][0].get("args", {}).get("directory")
    return directory


def _offer(profile: str, folder: Path | None) -> None:
    """Make a profile by which databroker finds the embedded catalog.

    The catalog does not need it, so what goes wrong is said and no more.
    """
    import tiled.profiles
    import yaml

    text = _HEADER + yaml.safe_dump({profile: {"direct": service(folder)}}, sort_keys=False)
    path = tiled.profiles.paths[-1] / f"{profile}.yml"
    reason = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked, so that no other process reads half a profile; a name
        # without .yml, so that Tiled does not read it before.
        temporary = path.with_name(f".{profile}.{os.getpid()}")
        temporary.write_text(text)
        try:
            os.link(temporary, path)
        except FileExistsError:  # another process was first, or it is no profile
            reason = f"{path} exists and holds none"
        finally:
            temporary.unlink()
    except OSError as exc:
        reason = f"{path} cannot be written: {exc.strerror}"
    if _find_profile(profile) is None:
        log.warning(
            "there is no Tiled profile %r (%s): databroker.catalog does not find this catalog; "
            "redoxscope.storage.open_catalog() does",
            profile,
            reason or f"{path} was written, but another file of that folder has the same name",
        )


@contextlib.contextmanager
def _quiet_tiled(server: bool = True) -> Iterator[None]:
    """Keep Tiled's import warning and start-up line off the user's screen."""
    # For good, not for a while: this is a thread's, and filters belong to the process.
    warnings.filterwarnings("ignore", message=".*httpx.*starlette.testclient.*")
    if not server:
        yield
        return
    import tiled.server.app  # noqa: F401  (sets its logger's level when imported)

    logger = logging.getLogger("tiled.server.app")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
