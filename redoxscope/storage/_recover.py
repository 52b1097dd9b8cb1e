"""From the logs into the catalog after a crash, with what the analyses find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .catalog import RecoveryReport, recover_logs, store_log
from .results import keep_results

__all__ = ["recover", "store_run"]


def recover(
    directory: str | os.PathLike[str], catalog: Any, *, stored: bool = False
) -> list[RecoveryReport]:
    """Put every log that is not stored into the catalog, and what the analyses find in it.

    Runs that never ended get a stop document with ``exit_status`` "abort", a ``reason`` that
    starts "interrupted: " and ``num_events``. Runs in progress are left alone. May be repeated.

    Parameters
    ----------
    directory : str or Path
        Directory of the document logs.
    catalog : CatalogOfBlueskyRuns
        As :func:`open_catalog` gives it.
    stored : bool
        Also the logs of runs that have been in a catalog: fills one that was made anew.

    Returns
    -------
    list of RecoveryReport
        One per log, by file name; empty where there is nothing to do. A log that cannot be
        stored is reported as "failed" and does not stop the others. An analysis that fails is
        logged; its run is stored.
    """
    return recover_logs(directory, catalog, stored=stored, then=[keep_results()])


def store_run(path: str | os.PathLike[str], catalog: Any) -> RecoveryReport:
    """Put the run of one document log into the catalog, and what the analyses find in it.

    Parameters
    ----------
    path : str or Path
        The log.
    catalog : CatalogOfBlueskyRuns

    Returns
    -------
    RecoveryReport
        As of `recover`.
    """
    return store_log(Path(path), catalog, [keep_results()])
