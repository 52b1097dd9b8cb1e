"""Spectra of a line or of a few places, focus scans, and images larger than the fine stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...analysis.dose import DoseLimit, as_dose_limit
from ...data import EDGES, References, edge_energies, get_edge
from ...documents import (
    FOCUS_SCAN,
    LINE_SPECTRUM,
    POINT_SPECTRUM,
    STACK_RESERVED,
    TILED_IMAGE,
    check_metadata,
)
from ...inputs import as_number, as_numbers, as_pair, as_whole, is_number
from ...scan import (
    MAX_RETRIES,
    Region,
    Scan,
    Zone,
    as_loops,
    focus_lines_scan,
    line_spectrum_scan,
    point_spectrum_scan,
    tiled_scan,
)
from .._inputs import all_axes, check_axes, check_device
from .._protocols import AlignableMicroscope, Microscope
from .._public import Bounds, OneOf, plan
from ._dose_limit import guarded
from ._frames import measure_frames
from ._start import stack_start

__all__ = ["focus_scan", "line_spectrum", "point_spectrum", "tiled_image", "tiles_of"]

Outers = Mapping[str, Sequence[float]]
MostDose = DoseLimit | Mapping[str, float] | float


@plan
def line_spectrum(
    stxm: Microscope,
    *,
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    energies: Annotated[Sequence[float] | None, Bounds("eV", above=0)] = None,
    zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
    center: tuple[float, float] = (0.0, 0.0),
    length: Annotated[float, Bounds("µm", above=0)] = 5.0,
    pixels: Annotated[int, Bounds(at_least=1)] = 100,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    outer: Outers | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: MostDose | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Fly one line of the sample at each of several photon energies.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    edge : str, optional
        Absorption edge: gives the energies where none are given, and the energy offset.
    energies : sequence of float, optional
        True photon energies (eV), in the order in which they are gone to, each once.
    zones : sequence of Zone, mapping or (start, stop, step[, dwell]), optional
        Instead of energies: zones with a step (eV) and, where it is not ``dwell``, a time per
        pixel (s) of their own.
    center : tuple of float
        x, y of the middle of the line (µm, sample coordinates); it lies along x.
    length : float
        Of the line (µm), from the outer edge of its first to that of its last pixel.
    pixels : int
        Of the line, at least 1.
    dwell : float
        Time per pixel (s).
    retries : int
        How often a missed line is taken again.
    outer : mapping of str to sequence of float, optional
        Loops around it, outermost first: ``{"temperature": [25, 200]}`` (degC), ``{"polarisation":
        [0, 90]}`` (deg), or any other in the unit of its axis.
    axes : mapping of str to device, optional
        What is set for each of them: ``{"temperature": heater}``. A heater is made safe,
        whatever ends the plan; anything else stays where it was set last.
    dose_limit : DoseLimit, mapping or float, optional
        Largest dose of any pixel (Gy), as of `energy_stack`: the plan ends before it might be
        exceeded.
    md : mapping, optional
        Further metadata for the start document.

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
        A value that makes no sense, a loop without its axis; when the plan is called.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        Outside the limits or against the geometry, before the plan's first message.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    scan = line_spectrum_scan(
        energies=_energies("line_spectrum", edge, energies, zones), zones=zones, center=center,
        length=length, pixels=pixels, dwell=dwell, edge=_edge(edge), retries=retries,
        outer=as_loops(outer),
    )  # fmt: skip
    return _measure(stxm, scan, LINE_SPECTRUM, axes, dose_limit, md)


@plan
def point_spectrum(
    stxm: Microscope,
    *,
    positions: Sequence[Sequence[float]],
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    energies: Annotated[Sequence[float] | None, Bounds("eV", above=0)] = None,
    zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.01,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    outer: Outers | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: MostDose | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Count at a few places of the sample at each of several photon energies.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    positions : sequence of (x, y)
        Where (µm, sample coordinates); each place has a stream of its own, ``point_1``, …, or
        ``primary`` where there is one only. An empty place among them gives the incoming beam.
    edge, energies, zones, retries, outer, axes, dose_limit, md
        As of `line_spectrum`.
    dwell : float
        Time of a point (s).

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `line_spectrum`.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    scan = point_spectrum_scan(
        positions=positions, energies=_energies("point_spectrum", edge, energies, zones),
        zones=zones, dwell=dwell, edge=_edge(edge), retries=retries, outer=as_loops(outer),
    )  # fmt: skip
    return _measure(stxm, scan, POINT_SPECTRUM, axes, dose_limit, md)


@plan
def focus_scan(
    stxm: AlignableMicroscope,
    *,
    energies: Annotated[float | Sequence[float], Bounds("eV", above=0)],
    travel: Annotated[float, Bounds("µm", above=0)] = 40.0,
    steps: Annotated[int, Bounds(at_least=2, at_most=10_000)] = 41,
    offset: Annotated[float, Bounds("µm")] = 0.0,
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    center: tuple[float, float] = (0.0, 0.0),
    length: Annotated[float, Bounds("µm", above=0)] = 5.0,
    pixels: Annotated[int, Bounds(at_least=1)] = 100,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.002,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    outer: Outers | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: MostDose | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Fly one line again and again, with the zone plate at several places along the beam.

    The zone plate goes from upstream to downstream through where its geometry says that the
    sample is in focus when the plan is called; the line that is sharpest says where it really is.
    Whatever ends the plan, the zone plate is brought back to where the geometry says.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energies : float or sequence of float
        True photon energy (eV); several, one after the other, tell A0 and A1 apart.
    travel : float
        Way of the zone plate at each energy (µm), half of it to either side.
    steps : int
        Places on that way, its ends included.
    offset : float
        Of the middle of the way from where the geometry says (µm), positive downstream.
    edge : str, optional
        Absorption edge whose energy offset applies.
    center, length, pixels, dwell, retries, outer, axes, dose_limit, md
        As of `line_spectrum`; the line should cross edges of the sample. The dose is that in focus.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `line_spectrum`; the zone plate's way is looked at, too.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    check_device("stxm", stxm, AlignableMicroscope, "STXM")
    found = _listed(energies)
    around = np.asarray(zone_plate_way(travel, steps, offset))
    nominal = [(energy, (stxm.focus.nominal(energy) + around).tolist()) for energy in found]
    scan = focus_lines_scan(
        positions=nominal, center=center, length=length, pixels=pixels, dwell=dwell,
        edge=_edge(edge), retries=retries, outer=as_loops(outer),
    )  # fmt: skip
    given = all_axes(axes, {"zone_plate_z": stxm.focus})
    return _measure(stxm, scan, FOCUS_SCAN, given, dose_limit, md)


def zone_plate_way(travel: float, steps: int, offset: float) -> list[float]:
    """Places of the zone plate (µm) from where it is in focus, upstream first."""
    way = as_number("travel", travel, "µm", above=0)
    count = as_whole("steps", steps, at_least=2)
    middle = as_number("offset", offset, "µm")
    return [float(z) for z in np.linspace(middle - way / 2, middle + way / 2, count)]


@plan
def tiled_image(
    stxm: Microscope,
    *,
    energies: Annotated[float | Sequence[float], Bounds("eV", above=0)],
    edge: Annotated[str | None, OneOf(tuple(EDGES))] = None,
    center: tuple[float, float] = (0.0, 0.0),
    size: float | tuple[float, float] = 50.0,
    pixels: int | tuple[int, int] = 250,
    tile: float | tuple[float, float] = 20.0,
    dwell: Annotated[float, Bounds("s", above=0)] = 0.001,
    retries: Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)] = 1,
    outer: Outers | None = None,
    axes: Mapping[str, Movable[Any]] | None = None,
    dose_limit: MostDose | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take an image that is larger than the fine stage, in tiles.

    Between two tiles the coarse stage moves. Tiles lie on one grid of pixels, so that they join
    without being interpolated; each has a stream of its own.

    Parameters
    ----------
    stxm : Microscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energies : float or sequence of float
        True photon energy (eV); of several, all tiles are imaged at one before the next.
    edge : str, optional
        Absorption edge whose energy offset applies.
    center : tuple of float
        x, y of the middle (µm, sample coordinates).
    size : float or tuple of float
        Width, height of the whole (µm).
    pixels : int or tuple of int
        Columns, rows of the whole image.
    tile : float or tuple of float
        Width, height (µm) of a tile at most; with the run-up it has to fit into the fine stage.
    dwell, retries, outer, axes, dose_limit, md
        As of `line_spectrum`.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError, ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `line_spectrum`.
    """
    check_device("stxm", stxm, Microscope, "STXM")
    scan = scan_of_tiles(
        energies=energies, edge=edge, center=center, size=size, pixels=pixels, tile=tile,
        dwell=dwell, retries=retries, outer=outer,
    )  # fmt: skip
    return _measure(stxm, scan, TILED_IMAGE, axes, dose_limit, md)


def tiles_of(
    stxm: Microscope,
    scan: Scan,
    dose_limit: DoseLimit | None,
    md: Mapping[str, Any] | None,
    references: References | None,
) -> MsgGenerator[str]:
    """As `tiled_image` of what `scan_of_tiles` made, of a sample with references of its own."""
    return _measure(stxm, scan, TILED_IMAGE, None, dose_limit, md, references)


def scan_of_tiles(
    *,
    energies: float | Sequence[float],
    edge: str | None,
    center: Any,
    size: Any,
    pixels: Any,
    tile: Any,
    dwell: float,
    retries: int = 1,
    outer: Outers | None = None,
) -> Scan:
    """What `tiled_image` measures; parameters and errors as there."""
    whole = Region(
        as_pair("center", center, "µm"),
        as_pair("size", size, "µm", single=True),
        as_pair("pixels", pixels, single=True),
    )
    return tiled_scan(
        energies=_listed(energies), region=whole, tile=as_pair("tile", tile, "µm", single=True),
        dwell=dwell, edge=_edge(edge), retries=retries, outer=as_loops(outer),
    )  # fmt: skip


def _listed(energies: Any) -> list[float]:
    """One energy or several (eV)."""
    given = [energies] if is_number(energies) else energies
    found = as_numbers("energies", given, "eV", what="energies", above=0)
    if not found:
        raise ValueError("energies is empty; at least one energy in eV is needed")
    return found


def _edge(edge: str | None) -> str | None:
    return None if edge is None else get_edge(edge).name


def _energies(name: str, edge: Any, energies: Any, zones: Any) -> Any:
    """The energies that are given, or the edge's."""
    if energies is not None or zones is not None:
        return energies
    if edge is None:
        raise ValueError(
            f"{name} needs edge='Mn L3' (or another), energies=[...] or zones=[...] in eV"
        )
    return edge_energies(edge)


def _measure(
    stxm: Microscope,
    scan: Scan,
    plan_name: str,
    axes: Mapping[str, Any] | None,
    dose_limit: MostDose | None,
    md: Mapping[str, Any] | None,
    references: References | None = None,
) -> MsgGenerator[str]:
    metadata = stack_start(scan, [det.field for det in stxm.line_detectors], plan_name)
    dose = guarded(stxm, scan, references, as_dose_limit(dose_limit), metadata)
    around, own = check_axes(scan, axes), check_metadata(md, STACK_RESERVED)
    return measure_frames(stxm, scan, around, metadata, own, dose=dose)
