"""The same map from a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..contract import STREAM
from ..data import References
from ._documents import stream_rows
from ._snapshot import Snapshot
from ._stack_reader import MapOptions, StackReader, is_stack

__all__ = ["oxidation_map"]

COLUMNS = ("transmission", "i0", "line", "line_status", "sample_x", "sample_y")


def oxidation_map(source: Any, references: References | None = None, **options: Any) -> Snapshot:
    """Oxidation map of a finished run, equal to the live one to rounding.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.
    references : References, optional
        By default those of the run's edge.
    **options
        ``i0, min_thickness, max_od, blank, region`` as for `OxidationMap`.

    Returns
    -------
    Snapshot
        With ``result``, ``spectrum``, ``lines``, and in ``doubts`` what speaks against it. A run
        that names no references has images only.

    Raises
    ------
    ValueError
        If there is no energy stack in it, or the references do not suit its energies.
    """
    chosen = MapOptions(references, **options)
    # A run's own documents() needs an exporter, which a stock server does not have.
    if hasattr(source, "metadata"):
        reader = _from_catalog(source, chosen)
    elif hasattr(source, "documents"):
        reader = _from_documents(source.documents(), chosen)
    else:
        reader = _from_documents(source, chosen)
    if reader.refusal is not None:
        raise reader.refusal
    return reader.snapshot(final=True)


def _from_documents(
    documents: Iterable[tuple[str, Mapping[str, Any]]], options: MapOptions
) -> StackReader:
    reader: StackReader | None = None
    run, descriptors = "", set()
    for name, doc in documents:
        if name == "start" and is_stack(doc):
            reader, run = StackReader(doc, options), doc["uid"]
        elif reader is None:
            continue
        elif name == "descriptor" and doc["run_start"] == run and reader.describe(doc):
            descriptors.add(doc["uid"])
        elif name in ("event", "event_page") and doc["descriptor"] in descriptors:
            reader.take(name, doc)
    if reader is None:
        raise ValueError("no energy stack in these documents (start.energies, start.shape [3])")
    return reader


def _from_catalog(run: Any, options: MapOptions) -> StackReader:
    start = run.metadata["start"]
    if not is_stack(start):
        raise ValueError(f"run {start.get('uid')} is not an energy stack")
    reader = StackReader(start, options)
    rows = stream_rows(run, STREAM, COLUMNS)
    reader.configure(run[STREAM].metadata.get("configuration", {}))
    for seq_num, data in rows:
        reader.line(seq_num, data)
    return reader
