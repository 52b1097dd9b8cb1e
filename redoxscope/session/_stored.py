"""How a session's runs get into the catalog."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..storage import (
    DEFAULT_PROFILE,
    CatalogWriter,
    DocumentLog,
    catalog_doubts,
    facility_profile,
    keep_results,
)

__all__ = ["catalog_writer"]

log = logging.getLogger("redoxscope.session")


def catalog_writer(
    profile: str,
    directory: Path | None,
    documents: DocumentLog,
    photons: Path | None,
    maps: Iterable[Any] = (),
) -> CatalogWriter:
    """The callback that stores runs; a facility's catalog is tried first.

    What a server does not take is said now, not at the end of the first run.

    Parameters
    ----------
    profile : str
        Tiled profile.
    directory : Path or None
        Data folder of an embedded catalog, where it was named.
    documents : DocumentLog
        The session's log.
    photons : Path or None
        Folder of photon lists, where the session has a spectrometer.
    maps : iterable of Host
        Live maps; what they find is stored beside the runs.
    """
    writer = CatalogWriter(profile, documents, directory=directory, then=[keep_results(*maps)])
    if profile == DEFAULT_PROFILE and facility_profile(profile) is None:
        return writer  # embedded: nothing that its first use would not make
    doubts = catalog_doubts(writer.open, photons)
    if doubts:
        writer.doubt(doubts[0])
        log.warning(
            "catalog profile %r: %s. Runs are kept in %s; put them into the catalog with: "
            "redoxscope recover",
            profile,
            "; ".join(doubts),
            documents.directory,
        )
    return writer
