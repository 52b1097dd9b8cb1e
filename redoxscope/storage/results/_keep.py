"""Results of live runs, stored at their end beside the run."""

from __future__ import annotations

import logging
import threading
from typing import Any, Protocol

from redoxscope.callbacks import NotDoneError, Result
from redoxscope.callbacks.oxidation import MapOptions

from ..catalog import main_streams, run_documents, stored_run
from ._derive import MAP, apart_for, continues, derive, derive_map
from ._read import list_results
from ._store import store_results

__all__ = ["ResultsKeeper", "keep_results"]

log = logging.getLogger("redoxscope.storage")

PATIENCE = 120.0
"""Longest time (s) that the catalog's thread waits for a live analysis: what it calls may hang, and
other runs are to be stored."""


class Live(Protocol):
    """A host of live analyses, as far as its results are wanted."""

    def results(self, uid: str, timeout: float | None) -> list[Result]:
        """Results of a run, once it is analysed to its end, or the time (s) is over.

        Raises
        ------
        NotDoneError
            The time is over, and it goes on.
        LookupError
            It holds none of this run.
        """


def keep_results(*live: Live) -> ResultsKeeper:
    """What stores the results of a run once it is in the catalog.

    For ``CatalogWriter(catalog, log, then=[keep_results(omap)])``: it is called on the catalog's
    thread, waits there for the live analyses to end, and stores what they found: with what a user
    set meanwhile (an I0, an area). The map of a run that continues another is made anew, of the
    lines of both. What they have not kept, and what is not stored yet, is found
    again in the run. An analysis that takes longer than two minutes holds up nobody: its results
    are stored when it has them.

    Parameters
    ----------
    *live : Host
        The live analyses of the session.

    Returns
    -------
    ResultsKeeper
        ``keep(catalog, uid)``.
    """
    return ResultsKeeper(*live)


class ResultsKeeper:
    """Called with a catalog and the uid of a run that is in it; see `keep_results`.

    Parameters
    ----------
    *live : Host
    """

    def __init__(self, *live: Live) -> None:
        self._live = live
        self._late: list[tuple[str, str]] = []  # analysis and run
        self._changed = threading.Condition()

    def __call__(self, catalog: Any, uid: str) -> None:
        """Store what was found in a run.

        Raises
        ------
        LookupError
            The run is not in the catalog.
        """
        found: list[Result] = []
        lacking: dict[str, LookupError] = {}
        late: dict[str, Live] = {}
        for host in self._live:
            try:
                found += host.results(uid, PATIENCE)
            except LookupError as exc:
                log.debug("run %s: no live results (%s)", uid, exc)
                analysis = getattr(host, "analysis", None)
                if analysis is not None and analysis.apart:
                    lacking[analysis.name] = exc
                    if isinstance(exc, NotDoneError):
                        late[analysis.name] = host
        run = stored_run(catalog, uid)
        if run is None:
            raise LookupError(f"run {uid} is not in the catalog")
        start = run.metadata["start"]
        # Live the earlier run's lines were not there.
        both = continues(start)
        found = [result for result in found if not (both and result.analysis == MAP)]
        there = {result.analysis for result in found}
        there |= {one.analysis for one in list_results(run)}  # recover may come a second time
        measured = set(main_streams(start)) & set(run)  # none before the first event
        # What takes so long that it has a process of its own is not made again in this one.
        apart = set(apart_for(start)) - there if measured else set()
        but = there | apart | ({MAP} if both else set())
        more, problems = derive(run_documents(run), but=but) if measured else ([], [])
        if both and measured and MAP not in there:
            whole, lacks = derive_map(run, self._map_options)
            more, problems = [*more, *whole], [*problems, *lacks]
        problems += [_missing(name, uid, lacking.get(name)) for name in sorted(apart - set(late))]
        if problems:
            log.warning("run %s: no results of %s", uid[:8], "; ".join(problems))
        if found or more:
            store_results(catalog, uid, [*found, *more])
        for name in sorted(apart & set(late)):
            self._store_later(catalog, uid, name, late[name])

    @property
    def _map_options(self) -> MapOptions | None:
        """What a user has chosen for the map."""
        chosen = (getattr(host, "options", None) for host in self._live)
        return next((one for one in chosen if isinstance(one, MapOptions)), None)

    @property
    def pending(self) -> str:
        """Of what results are waited for still, in words; "" where of nothing."""
        with self._changed:
            return ", ".join(f"results of {name} of run {uid[:8]}" for name, uid in self._late)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all results are stored; False where the time (s) did not suffice."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._late, timeout)

    def _store_later(self, catalog: Any, uid: str, name: str, host: Live) -> None:
        with self._changed:
            self._late.append((name, uid))
        thread = threading.Thread(
            target=self._store_when_done, args=(catalog, uid, name, host),
            name=f"results-{name}", daemon=True,
        )  # fmt: skip
        try:
            thread.start()
        except RuntimeError:  # nobody would take it off again
            self._over(name, uid)
            raise

    def _store_when_done(self, catalog: Any, uid: str, name: str, host: Live) -> None:
        try:
            try:
                found = host.results(uid, None)
            except LookupError as exc:
                log.warning("run %s: no results of %s", uid[:8], _missing(name, uid, exc))
                return
            if found:
                store_results(catalog, uid, found)
        except Exception:  # a disk, a server: nobody else would see what goes wrong in a thread
            log.exception("run %s: results of %s are not stored", uid[:8], name)
        finally:
            self._over(name, uid)

    def _over(self, name: str, uid: str) -> None:
        with self._changed:
            self._late.remove((name, uid))
            self._changed.notify_all()


def _missing(name: str, uid: str, why: LookupError | None) -> str:
    reason = why or "nothing was made of it"
    return f"{name} ({reason}); store_results(cat, {uid[:8]!r}) makes them"
