"""The same spectra from a run that is over."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...documents import STREAM, sigma_key
from ...inputs import unless_unmeasured
from .._documents import documents_of, start_of, stream_rows
from ._reader import XasOptions, XasReader, is_xas
from ._snapshot import XasSnapshot

__all__ = ["xas_from_run"]


@unless_unmeasured()
def xas_from_run(source: Any, options: XasOptions | None = None) -> XasSnapshot:
    """Spectra of a finished run, equal to the live ones.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.
    options : XasOptions, optional

    Raises
    ------
    ValueError
        There are no absorption spectra in it.
    """
    reader = _of_catalog(source, options) if hasattr(source, "metadata") else None
    if reader is None:
        reader = _of_documents(source, options)
    return reader.snapshot(final=True)[""]


def _of_catalog(run: Any, options: XasOptions | None) -> XasReader:
    start = start_of(run)
    if not is_xas(start):
        raise ValueError(f"run {start.get('uid')} has no absorption spectra (key 'xas')")
    reader = XasReader(start, options)
    keys = reader.channels.keys
    described = run[STREAM].metadata.get("data_keys", {}) if STREAM in set(run) else {}
    reader.channels.describe(described)
    wanted = ("point", "energy", "xas_point_status", "xas_point_tries", *keys)
    for _, data in stream_rows(run, STREAM, (*wanted, *map(sigma_key, keys))):
        reader.channels.take({key: _plain(value) for key, value in data.items()})
    return reader


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _of_documents(source: Any, options: XasOptions | None) -> XasReader:
    reader: XasReader | None = None
    run, wanted = "", set()
    for name, doc in documents_of(source):
        if name == "start" and is_xas(doc):
            reader, run = XasReader(doc, options), doc["uid"]
        elif reader is None:
            continue
        elif name == "descriptor" and doc["run_start"] == run and reader.describe(doc):
            wanted.add(doc["uid"])
        elif name in ("event", "event_page") and doc["descriptor"] in wanted:
            reader.take(name, doc)
    if reader is None:
        raise ValueError("no absorption spectra in these documents (key 'xas' of a start document)")
    return reader
