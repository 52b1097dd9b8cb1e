"""Results of live runs, stored at their end on the catalog's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from redoxscope.callbacks import Result

from ..catalog import main_streams, run_documents, stored_run
from ._derive import derive, wanting
from ._read import list_results
from ._store import store_results

__all__ = ["keep_results"]

log = logging.getLogger("redoxscope.storage")

PATIENCE = 120.0
"""Longest time (s) that a run's results wait for a live analysis: what it calls may hang, and other
runs are to be stored."""


class Live(Protocol):
    """A host of live analyses, as far as its results are wanted."""

    def results(self, uid: str, timeout: float) -> list[Result]:
        """Results of a run, once it is analysed to its end, or the time (s) is over.

        Raises
        ------
        LookupError
            It holds none of this run.
        """


def keep_results(*live: Live) -> Callable[[Any, str], None]:
    """What stores the results of a run once it is in the catalog.

    For ``CatalogWriter(catalog, log, then=[keep_results(omap)])``: it is called on the catalog's
    thread, waits there for the live analyses to end, and stores what they found: with what a user
    set meanwhile (an I0, an area). What they have not kept, and what is not stored yet, is found
    again in the run.

    Parameters
    ----------
    *live : Host
        The live analyses of the session.

    Returns
    -------
    callable
        ``keep(catalog, uid)``.
    """

    def keep(catalog: Any, uid: str) -> None:
        found: list[Result] = []
        lacking: dict[str, LookupError] = {}
        for host in live:
            try:
                found += host.results(uid, PATIENCE)
            except LookupError as exc:
                log.debug("run %s: no live results (%s)", uid, exc)
                analysis = getattr(host, "analysis", None)
                if analysis is not None and analysis.apart:
                    lacking[analysis.name] = exc
        run = stored_run(catalog, uid)
        if run is None:
            raise LookupError(f"run {uid} is not in the catalog")
        there = {result.analysis for result in found}
        there |= {one.analysis for one in list_results(run)}  # recover may come a second time
        measured = set(main_streams(run.metadata["start"])) & set(
            run
        )  # none before the first event
        # What takes so long that it has a process of its own is not made again in this one.
        but = there | lacking.keys()
        more, problems = derive(run_documents(run), but=but) if measured else ([], [])
        problems += [
            f"{name} ({lacking[name]}); store_results(cat, {uid[:8]!r}) makes them"
            for name in wanting(run.metadata["start"], lacking)
            if measured and name not in there
        ]
        if problems:
            log.warning("run %s: no results of %s", uid[:8], "; ".join(problems))
        if found or more:
            store_results(catalog, uid, [*found, *more])

    return keep
