"""The same pictures from a run that is over."""

from __future__ import annotations

from typing import Any

from ...inputs import unless_unmeasured
from .._documents import documents_of
from ._reader import ScanReader, is_scan
from ._snapshot import ScanSnapshot

__all__ = ["scans_from_run"]


@unless_unmeasured()
def scans_from_run(source: Any) -> dict[str, ScanSnapshot]:
    """Pictures of a finished run by name, equal to the live ones.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.

    Raises
    ------
    ValueError
        It is no such scan.
    """
    reader: ScanReader | None = None
    wanted = set()
    for name, doc in documents_of(source):
        if name == "start" and is_scan(doc):
            reader = ScanReader(doc)
        elif reader is None:
            continue
        elif name == "descriptor" and reader.describe(doc):
            wanted.add(doc["uid"])
        elif name in ("event", "event_page") and doc["descriptor"] in wanted:
            reader.take(name, doc)
    if reader is None:
        raise ValueError("no spectrum of lines or points, focus scan, grid or tiles in this run")
    return reader.snapshot(final=True)
