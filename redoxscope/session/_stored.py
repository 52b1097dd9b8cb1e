"""How a session's runs get into the catalog."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..storage import (
    DEFAULT_PROFILE,
    CatalogWriter,
    DocumentLog,
    catalog_doubts,
    facility_profile,
)

__all__ = ["catalog_writer"]

log = logging.getLogger("redoxscope.session")


def catalog_writer(
    profile: str,
    directory: Path | None,
    documents: DocumentLog,
    photons: Path | None,
    then: Sequence[Callable[[Any, str], object]] = (),
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
    then : sequence of callable
        What is done with each run that is stored; see `CatalogWriter`.
    """
    writer = CatalogWriter(profile, documents, directory=directory, then=then)
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
