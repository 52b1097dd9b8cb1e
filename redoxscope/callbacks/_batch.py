"""The same map from a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..analysis import I0Spectrum
from ..data import References
from ._documents import documents_of, start_of, stream_rows
from ._memory import available_bytes, gigabytes
from ._snapshot import Snapshot
from ._stack_reader import MapOptions, StackReader, is_stack

__all__ = ["as_i0", "i0_of_run", "oxidation_map"]

ARRAYS = ("transmission", "i0", "sample_x", "sample_y")
"""Columns with a value for each pixel, 8 bytes each."""
COLUMNS = ("transmission", "i0", "frame", "line", "line_status", "sample_x", "sample_y")


def oxidation_map(source: Any, references: References | None = None, **options: Any) -> Snapshot:
    """Oxidation map of a finished run, equal to the live one to rounding.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents.
    references : References, optional
        By default those of the run's edge.
    **options
        ``i0, min_thickness, max_od, blank, region, counts_per_unit`` as for `OxidationMap`.

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
    reader = _read(source, MapOptions(references, **{**options, "i0": as_i0(options.get("i0"))}))
    snapshot = reader.snapshot(final=True)
    if reader.refusal is not None:
        raise reader.refusal
    return snapshot


def as_i0(i0: Any) -> Any:
    """What a user gives for I0: a mode's name, a spectrum, or a run of the empty beam.

    Raises
    ------
    ValueError
        Neither; or see `i0_of_run`.
    """
    if i0 is None:
        return "auto"
    if isinstance(i0, (str, I0Spectrum)):
        return i0
    if isinstance(i0, Snapshot):
        raise ValueError("i0 is a snapshot; give the run itself, or (energies, counts, sigma)")
    if hasattr(i0, "documents") or hasattr(i0, "metadata"):
        return i0_of_run(i0)
    try:
        parts = list(i0)
    except TypeError:
        raise ValueError(
            f"i0 is {i0!r:.80}, but must be 'auto', 'blank', 'monitor', a spectrum (energies, "
            "counts[, sigma]) or a run"
        ) from None
    if parts and isinstance(parts[0], tuple) and isinstance(next(iter(parts[0]), None), str):
        return i0_of_run(parts)
    return I0Spectrum.of(parts)


def i0_of_run(source: Any) -> I0Spectrum:
    """I0 of a run: of its blank area, or of the whole image where all of it is blank.

    Parameters
    ----------
    source : run or iterable of (name, document)
        An energy stack, as for `oxidation_map`.

    Returns
    -------
    I0Spectrum
        With its sigma from counting and the run's dwell; per monitor count where the run has a
        monitor. Energies without data are left out.

    Raises
    ------
    ValueError
        No energy stack, no data, or neither a blank area nor an empty image.
    """
    reader = _read(source, MapOptions())
    fit, uid = reader.fit, str(reader.start.get("uid", ""))[:8]
    result = fit.solve()
    if result.blank is None:
        if not fit.uniform():
            why = "nothing was taken" if fit.blank is None else fit.blank.reason
            raise ValueError(
                f"run {uid} gives no I0: it has no blank area ({why}) and is not empty all over"
            )
        fit.set_blank(np.ones(fit.shape, dtype=bool))
        result = fit.solve()
    known = np.isfinite(result.ln_i0)
    if not known.any():
        raise ValueError(f"run {uid} gives no I0: no energy has enough lines")
    values = np.exp(result.ln_i0[known])
    dwell = None
    if fit.dwell is not None:
        dwell = float(fit.dwell[known][0])
        if not fit.monitored:  # all as if at one dwell
            values = values * dwell / fit.dwell[known]
    return I0Spectrum(
        reader.energies[known],
        values,
        values * result.ln_i0_sigma[known],
        dwell=dwell,
        ratio=fit.monitored,
        source=f"run {uid}",
    )


def _read(source: Any, options: MapOptions) -> StackReader:
    # A run's own documents() needs an exporter, which a stock server does not have.
    if hasattr(source, "metadata"):
        return _from_catalog(source, options)
    return _from_documents(documents_of(source), options)


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
        raise ValueError("no energy stack in these documents (start.plan_name, start.scan)")
    return reader


def _from_catalog(run: Any, options: MapOptions) -> StackReader:
    start = start_of(run)
    if not is_stack(start):
        raise ValueError(f"run {start.get('uid')} is not an energy stack")
    reader = StackReader(start, options)
    values = len(reader.energies) * reader.size[0] * reader.size[1]
    needed, available = 8 * values * len(ARRAYS), available_bytes()
    if needed > available:
        raise ValueError(
            f"run {start.get('uid')} has {values:.3g} pixels: reading it needs "
            f"{gigabytes(needed)}, and {gigabytes(available)} are available"
        )
    stream = reader.scan.stream_of(0)
    rows = stream_rows(run, stream, COLUMNS)
    metadata = run[stream].metadata
    reader.configure(metadata.get("configuration", {}), metadata.get("data_keys", {}))
    for _, data in rows:
        reader.line(data)
    return reader
