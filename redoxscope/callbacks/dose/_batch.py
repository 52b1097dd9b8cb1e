"""The same from a run that is over, or is still under way."""

from __future__ import annotations

from typing import Any

from .._documents import documents_of, start_of, stream_rows
from ._reader import DoseReader, is_exposed
from ._snapshot import DoseSnapshot

__all__ = ["dose_of_run"]


def dose_of_run(source: Any) -> dict[str, DoseSnapshot]:
    """What a run has left in the pixels of its regions, by their names ('' where it has one).

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), or documents.

    Raises
    ------
    ValueError
        It does not say what its images leave: the flux was not known, or it has no images.
    """
    if not hasattr(source, "metadata"):
        return _of_documents(source)
    start = start_of(source)
    reader = _reader(start)
    for i in range(len(reader.scan.regions)):
        stream = reader.scan.stream_of(i)
        if stream in set(source):  # a run that ended early may lack some
            for _, data in stream_rows(source, stream, ("line", "frame", "line_status")):
                reader.line(int(data["frame"]), int(data["line"]), int(data["line_status"]))
    return reader.snapshot(final=True)


def _of_documents(source: Any) -> dict[str, DoseSnapshot]:
    reader: DoseReader | None = None
    for name, doc in documents_of(source):
        if name == "start" and reader is None:
            reader = _reader(doc)
        elif reader is not None and name == "descriptor":
            reader.describe(doc)
        elif reader is not None and name in ("event", "event_page") and reader.knows(doc):
            reader.take(name, doc)
    if reader is None:
        raise ValueError("there is no start document in these documents")
    return reader.snapshot(final=True)


def _reader(start: Any) -> DoseReader:
    if not is_exposed(start):
        raise ValueError(
            f"run {str(start.get('uid', ''))[:8]} does not say what its images leave in a pixel: "
            "the flux was not known (set it in the beamline file)"
        )
    return DoseReader(start)
