"""The same from a run that is over, or is still under way."""

from __future__ import annotations

from typing import Any

from ...documents import STREAM
from ...inputs import unless_unmeasured
from .._documents import documents_of, rows_of, start_of, stream_rows
from ._reader import DoseReader, is_exposed
from ._snapshot import DoseSnapshot
from ._spot import dose_of_spot, is_spot

__all__ = ["dose_of_run"]


@unless_unmeasured()
def dose_of_run(source: Any) -> dict[str, DoseSnapshot]:
    """What a run has left in the pixels of its regions, by their names ('' where it has one).

    Of a stepped scan it is one pixel: the place where the beam stood, or all that the sample was
    stepped over.

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
    if is_spot(start):
        taken = stream_rows(source, STREAM, ("point_status",)) if STREAM in set(source) else ()
        return {"": dose_of_spot(start, [int(data["point_status"]) for _, data in taken])}
    reader = _reader(start)
    for i in range(len(reader.scan.regions)):
        stream = reader.scan.stream_of(i)
        if stream in set(source):  # a run that ended early may lack some
            for _, data in stream_rows(source, stream, ("line", "frame", "line_status")):
                reader.line(int(data["frame"]), int(data["line"]), int(data["line_status"]))
    return reader.snapshot(final=True)


def _of_documents(source: Any) -> dict[str, DoseSnapshot]:
    reader: DoseReader | None = None
    spot: tuple[Any, list[int]] | None = None
    for name, doc in documents_of(source):
        if name == "start" and reader is None and spot is None:
            if is_spot(doc):
                spot = doc, []
            else:
                reader = _reader(doc)
        elif spot is not None and name in ("event", "event_page"):
            rows = (data for _, data, _ in rows_of(name, doc, "point"))
            spot[1].extend(int(row["point_status"]) for row in rows if "point_status" in row)
        elif reader is not None and name == "descriptor":
            reader.describe(doc)
        elif reader is not None and name in ("event", "event_page") and reader.knows(doc):
            reader.take(name, doc)
    if spot is not None:
        return {"": dose_of_spot(*spot)}
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
