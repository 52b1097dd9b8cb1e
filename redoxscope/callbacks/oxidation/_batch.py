"""The same map from a run that is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...analysis.oxidation import I0Spectrum
from ...data import References
from ...documents import I0_SPECTRUM, RESUMES
from ...inputs import unless_unmeasured
from ...scan import Role
from .._documents import documents_of, start_of, stream_rows
from .._room import room_for
from ._part import MapPart
from ._reader import MapOptions, StackReader, is_stack
from ._snapshot import OxidationSnapshot

__all__ = [
    "as_i0",
    "from_documents",
    "i0_of_run",
    "maps_with",
    "oxidation_map",
    "oxidation_maps",
    "part_of",
    "read_stack",
    "with_earlier",
]


@unless_unmeasured()
def oxidation_map(
    source: Any,
    references: References | None = None,
    *,
    region: str | None = None,
    **options: Any,
) -> OxidationSnapshot:
    """Oxidation map of a finished run, equal to the live one to rounding.

    Parameters
    ----------
    source : run or iterable of (name, document)
        A run of a catalog (``cat[-1]``), anything with ``documents()``, or documents; of this
        package or of the ALS (contract ``stxm``).
    references : References, optional
        By default those of the run's edge.
    region : str, optional
        Name of one of several regions (with the values of outer loops where there are any); needed
        where the run has several.
    **options
        ``edge, i0, min_thickness, max_od, blank, area, counts_per_unit, dead_time, drift`` as for
        `OxidationMap`.

    Returns
    -------
    OxidationSnapshot
        With ``result``, ``spectrum``, ``lines``, and in ``doubts`` what speaks against it. A run
        that names no references has images only.

    Raises
    ------
    ValueError
        If there is no energy stack in it, or the references do not suit its energies; if it has
        several regions and none is named, or one that it has not.
    """
    reader = read_stack(source, references, **options)
    part = part_of(reader, region)
    found = reader.snapshot(final=True)
    if part.refusal is not None:
        raise part.refusal
    return found[part.name]


@unless_unmeasured()
def oxidation_maps(
    source: Any, references: References | None = None, **options: Any
) -> dict[str, OxidationSnapshot]:
    """Oxidation maps of all regions of a finished run, by name; see `oxidation_map`.

    Raises
    ------
    ValueError
        If there is no energy stack in it, or a map is refused.
    """
    reader = read_stack(source, references, **options)
    found = reader.snapshot(final=True)
    if reader.refusal is not None:
        raise reader.refusal
    return {name: found[name] for name in reader.parts}


def read_stack(source: Any, references: References | None = None, **options: Any) -> StackReader:
    """Reader that has taken all lines of a run, for `oxidation_map` and what is like it.

    Raises
    ------
    ValueError
        There is no energy stack in it.
    """
    return _read(source, MapOptions(references, **{**options, "i0": as_i0(options.get("i0"))}))


def maps_with(source: Any, options: MapOptions) -> dict[str, OxidationSnapshot]:
    """Maps of all regions of a finished run with options as they are, also those refused.

    Raises
    ------
    ValueError
        There is no energy stack in it, or a run that it continues is lacking.
    """
    return dict(_read(source, options).snapshot(final=True))


def part_of(reader: StackReader, region: str | None) -> MapPart:
    """The map of a region, which must be named where there are several.

    Raises
    ------
    ValueError
        It is not named, or is none of the run's.
    """
    names = list(reader.parts)
    listed = ", ".join(map(repr, names))
    if region is None and len(names) > 1:
        raise ValueError(f"the run has maps of {listed}: give region=, or use oxidation_maps")
    if region is not None and region not in names:
        raise ValueError(f"region = {region!r} is none of the run's: {listed}")
    return reader.part if region is None else reader.parts[region]


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
    if isinstance(i0, OxidationSnapshot):
        raise ValueError("i0 is a snapshot; give the run itself, or (energies, counts, sigma)")
    if hasattr(i0, "documents") or hasattr(i0, "metadata"):
        return i0_of_run(i0)
    try:
        parts = list(i0)
    except TypeError:
        raise ValueError(
            f"i0 is {i0!r:.80}, but must be 'auto', 'images', 'blank', 'monitor', a spectrum "
            "(energies, counts[, sigma]) or a run"
        ) from None
    if parts and isinstance(parts[0], tuple) and isinstance(next(iter(parts[0]), None), str):
        return i0_of_run(parts)
    return I0Spectrum.of(parts)


@unless_unmeasured()
def i0_of_run(source: Any) -> I0Spectrum:
    """I0 of a run: the one that it carries, else of its images of the empty beam, of a blank
    area, or of images all blank.

    Parameters
    ----------
    source : run or iterable of (name, document)
        An energy stack, as for `oxidation_map`.

    Returns
    -------
    I0Spectrum
        With its sigma from counting and a dwell; per monitor count where the run has a monitor.
        Energies without data are left out.

    Raises
    ------
    ValueError
        No energy stack, no data, or neither images of the empty beam nor a blank area nor an
        empty image.
    """
    reader = _read(source, MapOptions())
    run = f"run {str(reader.start.get('uid', ''))[:8]}"
    if (given := reader.start.get(I0_SPECTRUM)) is not None:
        return _carried(I0Spectrum(**given), reader, run)
    reader.settle(final=True)
    if reader.i0_images is not None:
        outer = next(f.outer for f in reader.scan.frames if f.role is Role.I0)
        spectrum = reader.i0_images.spectrum(outer, final=True)
        if spectrum is not None:
            return replace(spectrum, source=run, partial=False)
    why = "nothing was taken"
    for part in reader.parts.values():
        fit, result = part.fit, part.fit.solve()
        if result.blank is None:
            if not fit.uniform():
                why = fit.blank.reason if fit.blank is not None else why
                continue
            fit.set_blank(np.ones(fit.shape, dtype=bool))
            result = fit.solve()
        known = np.isfinite(result.ln_i0)
        if not known.any():
            why = "no energy has enough lines"
            continue
        values, dwell = np.exp(result.ln_i0[known]), part.images.together * part.images.dwell[known]
        if not fit.monitored:  # all as if at one dwell
            values = values * dwell[0] / dwell
        return I0Spectrum(
            part.energies[known],
            values,
            values * result.ln_i0_sigma[known],
            dwell=float(dwell[0]),
            ratio=fit.monitored,
            source=run,
        )
    raise ValueError(f"{run} gives no I0: it has no blank area ({why}) and is not empty all over")


def _carried(given: I0Spectrum, reader: StackReader, run: str) -> I0Spectrum:
    """That which a run was imported with, at a dwell of its own."""
    if given.dwell is None and not given.ratio:
        times = sorted({frame.dwell for frame in reader.scan.frames})
        if len(times) > 1:
            raise ValueError(
                f"{run} gives no I0: it was imported with counts ({given.source}) at its own "
                f"dwells of {times[0]:g} to {times[-1]:g} s; give that I0 itself"
            )
        given = replace(given, dwell=times[0])
    return replace(given, source=f"{run}, {given.source}")


def _read(source: Any, options: MapOptions) -> StackReader:
    # A run's own documents() needs an exporter, which a stock server does not have.
    if hasattr(source, "metadata"):
        return _from_catalog(source, options)
    return from_documents(documents_of(source), options)


def from_documents(
    documents: Iterable[tuple[str, Mapping[str, Any]]], options: MapOptions
) -> StackReader:
    """Reader that has taken a run's documents, and those of runs that continue it.

    Raises
    ------
    ValueError
        There is no energy stack in them.
    """
    reader: StackReader | None = None
    run, descriptors, succeeded = "", set(), False
    for name, doc in documents:
        if name == "start" and is_stack(doc):
            if reader is not None and (doc.get(RESUMES) or {}).get("uid") == run:
                reader.resumed(doc)
            else:
                reader = StackReader(doc, options)
            run, succeeded = doc["uid"], False
        elif reader is None:
            continue
        elif name == "descriptor" and doc["run_start"] == run and reader.describe(doc):
            descriptors.add(doc["uid"])
        elif name in ("event", "event_page") and doc["descriptor"] in descriptors:
            reader.take(name, doc)
        elif name == "stop" and doc.get("run_start") == run:
            succeeded = doc.get("exit_status") == "success"
    if reader is None:
        raise ValueError(
            "no energy stack in these documents: no start document with a scan of lines, nor with "
            "a block stxm"
        )
    reader.succeeded = succeeded
    return reader


def _from_catalog(run: Any, options: MapOptions) -> StackReader:
    start = start_of(run)
    if not is_stack(start):
        raise ValueError(f"run {start.get('uid')} is not an energy stack")
    runs = with_earlier(run)
    reader = StackReader(start_of(runs[0]), options)
    _from_one(runs[0], reader)
    for one in runs[1:]:
        reader.resumed(start_of(one))
        _from_one(one, reader)
    reader.succeeded = (runs[-1].metadata.get("stop") or {}).get("exit_status") == "success"
    return reader


def with_earlier(run: Any) -> list[Any]:
    """A run, and before it those of the same catalog that it continues.

    Raises
    ------
    ValueError
        One of them is not there.
    """
    runs = [run]
    while (link := start_of(runs[0]).get(RESUMES)) is not None:
        try:
            runs.insert(0, runs[0].parent[link["uid"]])
        except KeyError as exc:
            raise ValueError(
                f"run {str(start_of(runs[0]).get('uid'))[:8]!r} continues run {link['uid'][:8]!r}, "
                "which is not in the same catalog: its lines are lacking. Where its client was "
                "killed, redoxscope recover puts it there"
            ) from exc
    return runs


def _from_one(run: Any, reader: StackReader) -> None:
    """Take the lines of a run of a catalog."""
    start = start_of(run)
    layout, scan = reader.layout, reader.scan
    pixels = sum(float(np.prod(scan.regions[frame.region].pixels)) for frame in scan.frames)
    what = f"run {start.get('uid')} has {pixels:.3g} pixels: reading it"
    room_for(what, 8 * int(pixels) * len(layout.arrays))
    streams = [scan.stream_of(i) for i in range(len(scan.regions))]
    there = [(i, name) for i, name in enumerate(streams) if name in set(run)]
    # All before any line: dead times belong to the first of them already.
    for region, stream in there:
        metadata = run[stream].metadata
        reader.configure(
            region, metadata.get("configuration") or {}, metadata.get("data_keys") or {}
        )
    # A run that ended early may lack the streams of some regions, but not all.
    for region, stream in there or [(0, streams[0])]:
        for seq_num, data in stream_rows(run, stream, layout.columns):
            reader.line(region, seq_num, data)
