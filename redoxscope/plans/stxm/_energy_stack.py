"""Energy stack: images at several photon energies, in one run, one event per line."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...analysis.dose import DoseLimit, as_dose_limit
from ...analysis.oxidation import Target, as_target
from ...data import (
    EDGES,
    References,
    UndeterminedError,
    as_references,
    edge_energies,
    get_edge,
    load_references,
)
from ...documents import STACK_RESERVED, check_metadata
from ...inputs import as_pair, suggestion
from ...scan import MAX_RETRIES, ORDERS, Region, Role, Scan, Zone, as_loops, as_scan, stack_scan
from .._inputs import check_axes, check_device
from .._protocols import Microscope
from .._public import Bounds, OneOf, plan
from ._adaptive import adaptive_for
from ._dose_limit import guarded
from ._follow import Follow
from ._frames import measure_frames
from ._order import informed, without_spectra
from ._start import stack_start

__all__ = ["energy_stack", "execute", "image"]

log = logging.getLogger("redoxscope.plans")

ROWS = ("all", "informative")
"""Which rows of an image are flown."""


@plan
def energy_stack(
    stxm: Microscope,
    *,
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    energies: Annotated[Sequence[float] | None, Bounds("eV", above=0)] = None,
    zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
    center: tuple[float, float] | None = None,
    size: float | tuple[float, float] | None = None,
    pixels: int | tuple[int, int] | None = None,
    regions: Sequence[Region | Mapping[str, Any]] | None = None,
    i0_region: Region | Mapping[str, Any] | None = None,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    order: Annotated[str, OneOf(ORDERS)] = "sequential",
    dose_check: Annotated[float | Sequence[float] | None, Bounds("eV", above=0)] = None,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    references: References | Mapping[str, Any] | str | None = None,
    rows: Annotated[str, OneOf(ROWS)] = "all",
    until: Target | Mapping[str, float] | float | None = None,
    outer: Mapping[str, Sequence[float]] | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    follow_drift: Annotated[float | None, Bounds("µm", above=0)] = None,
    dose_limit: DoseLimit | Mapping[str, float] | float | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take an image of one or more regions at each of several photon energies.

    The whole plan is checked before the first move: energies, regions and run-up against the
    soft limits, and zone plate, order-sorting aperture and sample against each other at
    the lowest energy.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    edge : str, optional
        Absorption edge, e.g. ``"Mn L3"``: gives energies, reference spectra and the
        monochromator's offset. Without it, ``energies`` or ``zones`` must be given.
    energies : sequence of float, optional
        True photon energies (eV), in the order in which they are gone to, each once; by default
        the edge's.
    zones : sequence of Zone, mapping or (start, stop, step[, dwell]), optional
        Instead of energies: zones with a step (eV) and, where it is not ``dwell``, a time per
        pixel (s) of their own. They may share ends, and not overlap.
    center : tuple of float
        x, y of the middle of the region (µm, sample coordinates); by default (0, 0).
    size : float or tuple of float
        Width, height (µm); one number for a square; by default 5.
    pixels : int or tuple of int
        Columns, rows; one number for a square; by default 100.
    regions : sequence of Region or mapping, optional
        Instead of center, size and pixels: several regions, each visited at each energy, each in
        a stream of its own under its name.
    i0_region : Region or mapping, optional
        An empty place that is imaged at each energy too, for the incoming beam.
    dwell : float
        Time per pixel (s).
    order : {"sequential", "bit-reversed", "informative"}
        In which the energies are visited: as given; coarse to fine, so that whatever was measured
        covers the whole edge; or those first that lower the variance of the fraction most per
        second, moves included, which needs reference spectra. A map is there after a tenth of the
        energies, and better with each.
    dose_check : float or sequence of float, optional
        Energies (eV) at which every region is imaged once more at the end, to see what the beam
        has done. Where the order is another than ``sequential``, or ``until`` is given, they come
        first, too: else the stack might end before there is what to compare with.
    retries : int
        How often a missed line is taken again, at most 100.
    references : References, mapping or str, optional
        Spectra of the pure species for the live map: an edge whose shipped ones are meant, the
        path of a CSV file, or as `redoxscope.data.as_references` takes them. By default those of
        the edge, which are left out where so few energies cannot tell them apart. They are
        written into the start document, at this stack's energies.
    rows : {"all", "informative"}
        Which rows of the images are flown, where reference spectra are known. ``informative``: all
        of the first energies, then those with sample, of a target (``until``) those that have not
        reached it, and enough of the empty support to know I0. The map of the others rests on the
        energies that they have, and so does its σ. What is estimated beforehand is the whole.
    until : Target, mapping or float, optional
        End early, when so many pixels are so sure: ``{"sigma": 0.05, "share": 0.9}``, or σ of the
        fraction alone for 90 % of the pixels of the mask; of all regions. Best with an order that
        spreads the energies. I0 is then that of the monitor or of the blank area of each region.
        After each energy the log says how far it is and how long it will take; dose checks
        are taken all the same; the stop document says why it ended.
    outer : mapping of str to sequence of float, optional
        Loops around all of it, outermost first: ``{"temperature": [25, 200]}`` (degC),
        ``{"polarisation": [0, 90]}`` (deg), or any other in the unit of its axis.
    axes : mapping of str to device, optional
        What is set for each of them: ``{"temperature": heater}``. A heater is made safe,
        whatever ends the plan; anything else stays where it was set last.
    follow_drift : float, optional
        Move each region after its sample where that drifts, by so much (µm) along each axis at
        most. Each image is registered with those before; the limits are checked for regions moved
        that far. Without it the live map still registers the images and moves them back, but what
        leaves the region is lost.
    dose_limit : DoseLimit, mapping or float, optional
        Largest dose of any pixel (Gy), or ``{"limit": 5e7, "before": 1e7}`` where the place has
        had some before, with ``density`` (g/cm³) where the references are not the shipped ones.
        The stack ends before an image that might exceed it, lines flown again included. Needs the
        flux of the beamline file; the phase that absorbs most is taken.
    md : mapping, optional
        Further metadata for the start document. Keys of the contract
        (`redoxscope.documents.STACK_RESERVED`) are refused, here and from ``RE(plan, key=…)``.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        A value that makes no sense: energies NaN or twice the same, zones that overlap; a region,
        a dwell or pixels that are not positive; an unknown edge; references that do not cover
        the energies or cannot be told apart; metadata that would overwrite the contract's, or
        something else than a microscope. Raised when the plan is called. Metadata that come
        with ``RE(plan, key=…)`` or from ``RE.md`` are compared when the run is open: then this
        ends it before its first move.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        Outside the limits or against the geometry; names the region where there are several.
        Raised before the plan's first message.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    if energies is None and zones is None:
        if edge is None:
            raise ValueError(
                "energy_stack needs edge='Mn L3' (or another), energies=[...] or zones=[...] in eV"
            )
        energies = edge_energies(edge)
    make = partial(
        stack_scan,
        energies=energies,
        zones=zones,
        regions=_regions(regions, center, size, pixels),
        dwell=dwell,
        edge=None if edge is None else get_edge(edge).name,
        retries=retries,
        i0_region=i0_region,
        dose_check=dose_check,
        outer=as_loops(outer),
    )
    said = order if isinstance(order, str) else ""  # else indices, in an array perhaps
    if said != "informative":
        scan = make(order=order, checked_first=said == "bit-reversed" or until is not None)
    else:
        scan = make()
        spectra = _spectra(scan, references)
        if spectra is None:
            raise ValueError(without_spectra("order = 'informative'", scan))
        scan = make(order=informed(stxm, scan, spectra), checked_first=True)
    if not isinstance(rows, str) or rows not in ROWS:
        raise ValueError(
            f"rows = {rows!r} is unknown, it must be one of {', '.join(ROWS)}"
            f"{suggestion(rows, ROWS)}"
        )
    target = None if until is None else as_target(until)
    most, loops = as_dose_limit(dose_limit), check_axes(scan, axes)
    return _measure(stxm, scan, references, loops, md, target, follow_drift, most, rows)


@plan
def image(
    stxm: Microscope,
    *,
    energy: Annotated[float, Bounds("eV", above=0)],
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    center: tuple[float, float] | None = None,
    size: float | tuple[float, float] | None = None,
    pixels: int | tuple[int, int] | None = None,
    regions: Sequence[Region | Mapping[str, Any]] | None = None,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    outer: Mapping[str, Sequence[float]] | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: DoseLimit | Mapping[str, float] | float | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take an image of one or more regions at one photon energy.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energy : float
        True photon energy (eV).
    edge : str, optional
        Absorption edge whose energy offset applies.
    center : tuple of float
        x, y of the middle of the region (µm, sample coordinates); by default (0, 0).
    size : float or tuple of float
        Width, height (µm); one number for a square; by default 5.
    pixels : int or tuple of int
        Columns, rows; one number for a square; by default 100.
    regions : sequence of Region or mapping, optional
        Instead of center, size and pixels: several regions, each in a stream of its own.
    dwell : float
        Time per pixel (s).
    retries : int
        How often a missed line is taken again, at most 100.
    outer, axes, dose_limit
        As of `energy_stack`.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `energy_stack`.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    scan = stack_scan(
        energies=[energy],
        regions=_regions(regions, center, size, pixels),
        dwell=dwell,
        edge=None if edge is None else get_edge(edge).name,
        retries=retries,
        outer=as_loops(outer),
    )
    most = as_dose_limit(dose_limit)
    return _measure(stxm, scan, None, check_axes(scan, axes), md, most=most)


@plan
def execute(
    stxm: Microscope,
    scan: Scan | Mapping[str, Any] | str,
    *,
    axes: Mapping[str, Movable[Any]] | None = None,
    references: References | Mapping[str, Any] | str | None = None,
    dose_limit: DoseLimit | Mapping[str, float] | float | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure a scan of images that is given as data, e.g. that of an earlier run again.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    scan : Scan, mapping, str
        A `Scan`, its dictionary, JSON text, or the path of a file that ends in ``.json``. That of
        an earlier run: ``Scan.from_start(run.metadata["start"])``.
    axes : mapping of str to device, optional
        What is set for the scan's outer loops, by their names: ``{"temperature": heater}``. Each
        is set when the value of an image differs from that of the one before. A heater is made
        safe, whatever ends the plan; anything else stays where it was set last.
    references : References, mapping or str, optional
        Spectra of the pure species for the live map; by default those of the scan's edge.
    dose_limit : DoseLimit, mapping or float, optional
        Largest dose of any pixel (Gy), as of `energy_stack`.
    md : mapping, optional
        Further metadata for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        No scan, one of another version, one of points or exposures; an outer loop without its
        axis, or an axis without its loop; further as `energy_stack`.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `energy_stack`; an axis that has a ``check_value`` is asked for each value, too.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    found = as_scan(scan)
    if found.kind != "lines":
        other = {"points": "rixs_map, xes", "exposures": "expose"}[found.kind]
        raise ValueError(
            f"scan is one of {found.kind}, for {other}; execute measures images (kind 'lines')"
        )
    if found.edge is not None:
        get_edge(found.edge)
    most = as_dose_limit(dose_limit)
    return _measure(stxm, found, references, check_axes(found, axes), md, most=most)


def _measure(
    stxm: Microscope,
    scan: Scan,
    references: References | Mapping[str, Any] | str | None,
    axes: Mapping[str, Any],
    md: Mapping[str, Any] | None,
    target: Target | None = None,
    farthest: float | None = None,
    most: DoseLimit | None = None,
    rows: str = "all",
) -> MsgGenerator[str]:
    """The plan of a scan whose arguments were looked at; refuses what can be refused now."""
    for i, frame in enumerate(scan.frames):
        if frame.role is Role.DARK:
            raise ValueError(
                f"frames[{i}] has the role 'dark': the shutter follows the scanner, and a line "
                "without beam is flown again, so this plan takes none"
            )
    spectra = _spectra(scan, references)
    metadata = stack_start(scan, [det.field for det in stxm.line_detectors])
    if spectra is not None:
        metadata["references"] = spectra.at(scan.energies)
    adaptive = adaptive_for(stxm, scan, spectra, metadata, target, rows)
    follow = None
    if farthest is not None:
        metadata["follow_drift"] = farthest
        follow = Follow(scan, metadata["detectors"][0], farthest)
    # Those shipped with the edge have a density, others do not.
    own = spectra is not None and (scan.edge is None or not spectra.shipped)
    dose = guarded(stxm, scan, spectra if own else None, most, metadata)
    own_md = check_metadata(md, STACK_RESERVED)
    return measure_frames(stxm, scan, axes, metadata, own_md, adaptive, follow=follow, dose=dose)


def _spectra(
    scan: Scan, references: References | Mapping[str, Any] | str | None
) -> References | None:
    """Reference spectra of a scan; raises when those asked for do not fit its energies."""
    if references is not None:
        spectra = as_references(references)
        spectra.design(scan.energies)
        return spectra
    return None if scan.edge is None else _default_references(scan.edge, scan.energies)


def _regions(regions: Any, center: Any, size: Any, pixels: Any) -> Any:
    """The regions of a stack: those that are given, or the one that is said in words."""
    said = {"center": center, "size": size, "pixels": pixels}
    if regions is not None:
        given = [name for name, value in said.items() if value is not None]
        if given:
            raise ValueError(f"{given[0]} and regions are both given; a region has its own")
        return regions
    return [
        Region(
            as_pair("center", (0.0, 0.0) if center is None else center, "µm"),
            as_pair("size", 5.0 if size is None else size, "µm", single=True),
            as_pair("pixels", 100 if pixels is None else pixels, single=True),
        )
    ]


def _default_references(edge: str, energies: list[float]) -> References | None:
    """The edge's own references; None where it has none, or so few energies cannot fit them.

    An image or two at an edge are a measurement without a map. Only references that were asked
    for by name must fit.
    """
    if not get_edge(edge).species:
        return None
    references = load_references(edge)
    try:
        references.design(energies)
    except UndeterminedError as exc:
        log.warning("no map, images only: %s", exc)
        return None
    return references
