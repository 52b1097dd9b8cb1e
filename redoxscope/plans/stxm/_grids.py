"""Images of aperture and detector, focus of the aperture, images with the coarse stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from bluesky import plan_stubs as bps
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...data import EDGES, get_edge
from ...documents import (
    COARSE_IMAGE,
    DETECTOR_IMAGE,
    OSA_FOCUS,
    OSA_IMAGE,
    STACK_RESERVED,
    check_metadata,
)
from ...inputs import as_number, as_pair, as_whole
from ...scan import MAX_PIXELS, MAX_RETRIES, ZONE_PLATE, Outer, as_loops, centres, steps_scan
from .._inputs import all_axes, check_axes, check_device
from .._protocols import AlignableMicroscope, Microscope
from .._public import Bounds, OneOf, plan
from .._safety import SafetyStep
from ._frames import back_in_focus
from ._spectra import zone_plate_way
from ._spot import spot_exposure
from ._steps import measure_steps, steps_start

__all__ = ["coarse_image", "detector_image", "osa_focus", "osa_image"]

Energy = Annotated[float, Bounds("eV", above=0)]
Edge = Annotated[str | None, OneOf(tuple(EDGES))]
Dwell = Annotated[float, Bounds("s", above=0)]
Retries = Annotated[int, Bounds(at_least=0, at_most=MAX_RETRIES)]
Outers = Mapping[str, Sequence[float]]
Axes = Mapping[str, Movable[Any]]


@plan
def osa_image(
    stxm: AlignableMicroscope,
    *,
    energy: Energy,
    center: tuple[float, float] | None = None,
    size: float | tuple[float, float] = 100.0,
    pixels: int | tuple[int, int] = 20,
    dwell: Dwell = 0.02,
    edge: Edge = None,
    retries: Retries = 1,
    outer: Outers | None = None,
    axes: Axes | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Step the order-sorting aperture across the beam: a bright disc shows where it has to be.

    Whatever ends the plan, the aperture goes back to where it was.

    Parameters
    ----------
    stxm : AlignableMicroscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energy : float
        True photon energy (eV).
    center : tuple of float, optional
        x, y of the middle (µm, of the aperture's motors); by default where it
        stands when the plan is called.
    size : float or tuple of float
        Width, height (µm); one number for a square.
    pixels : int or tuple of int
        Columns, rows; one number for a square.
    dwell : float
        Time of a point (s).
    edge : str, optional
        Absorption edge whose energy offset applies.
    retries : int
        How often a point that failed is measured again.
    outer : mapping of str to sequence of float, optional
        Loops around it, outermost first, as of `line_spectrum`.
    axes : mapping of str to device, optional
        What is set for each of them; as of `line_spectrum`.
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
    _check(stxm)
    motors = {"osa_y": stxm.osa.y, "osa_x": stxm.osa.x}
    return _grid(stxm, OSA_IMAGE, motors, center, size, pixels, energy=energy, dwell=dwell,
                 edge=edge, retries=retries, outer=outer, axes=axes, md=md)  # fmt: skip


@plan
def detector_image(
    stxm: AlignableMicroscope,
    *,
    energy: Energy,
    center: tuple[float, float] | None = None,
    size: float | tuple[float, float] = 2000.0,
    pixels: int | tuple[int, int] = 20,
    dwell: Dwell = 0.02,
    edge: Edge = None,
    retries: Retries = 1,
    outer: Outers | None = None,
    axes: Axes | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Step the detector across the cone of light behind the sample, to centre it.

    Whatever ends the plan, the detector goes back to where it was.

    Parameters
    ----------
    stxm : AlignableMicroscope
        With a ``detector_stage``.
    energy : float
        True photon energy (eV).
    center : tuple of float, optional
        x, y of the middle (µm, of the detector's motors); by default where it
        stands when the plan is called.
    size, pixels, dwell, edge, retries, outer, axes, md
        As of `osa_image`.

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
        There is no stage of the detector; further as `osa_image`.
    ophyd.utils.LimitError, redoxscope.optics.InterlockError
        As `osa_image`.
    """
    _check(stxm)
    stage = getattr(stxm, "detector_stage", None)
    if stage is None:
        raise ValueError(
            f"{stxm.name} has no detector_stage, so its detector cannot be moved: name one in the "
            "beamline file"
        )
    motors = {"detector_y": stage.y, "detector_x": stage.x}
    return _grid(stxm, DETECTOR_IMAGE, motors, center, size, pixels, energy=energy, dwell=dwell,
                 edge=edge, retries=retries, outer=outer, axes=axes, md=md)  # fmt: skip


@plan
def coarse_image(
    stxm: AlignableMicroscope,
    *,
    energy: Energy,
    center: tuple[float, float] | None = None,
    size: float | tuple[float, float] = 500.0,
    pixels: int | tuple[int, int] = 25,
    dwell: Dwell = 0.01,
    edge: Edge = None,
    retries: Retries = 1,
    outer: Outers | None = None,
    axes: Axes | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Step the coarse stage, for a look at a whole sample holder, window or grid.

    The fine stage stays where it is; whatever ends the plan, the coarse one goes back to where it
    was.

    Parameters
    ----------
    stxm : AlignableMicroscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energy : float
        True photon energy (eV).
    center : tuple of float, optional
        x, y of the middle (µm, of the coarse motors); by default where it
        stands when the plan is called.
    size, pixels, dwell, edge, retries, outer, axes, md
        As of `osa_image`.

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
        As `osa_image`.
    """
    _check(stxm)
    motors = {"coarse_y": stxm.sample_stage.y, "coarse_x": stxm.sample_stage.x}
    return _grid(stxm, COARSE_IMAGE, motors, center, size, pixels, energy=energy, dwell=dwell,
                 edge=edge, retries=retries, outer=outer, axes=axes, md=md)  # fmt: skip


@plan
def osa_focus(
    stxm: AlignableMicroscope,
    *,
    energy: Energy,
    travel: Annotated[float, Bounds("µm", above=0)] = 400.0,
    steps: Annotated[int, Bounds(at_least=2, at_most=10_000)] = 21,
    offset: Annotated[float, Bounds("µm")] = 0.0,
    center: Annotated[float | None, Bounds("µm")] = None,
    length: Annotated[float, Bounds("µm", above=0)] = 80.0,
    pixels: Annotated[int, Bounds(at_least=2, at_most=MAX_PIXELS)] = 40,
    dwell: Dwell = 0.02,
    edge: Edge = None,
    retries: Retries = 1,
    outer: Outers | None = None,
    axes: Axes | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Step the aperture along x with the zone plate at several places around its focus on it.

    Where the edges of the aperture are sharpest, the zone plate is a focal length away from it:
    that tells the focal length without A0. Whatever ends the plan, the aperture goes back and the
    zone plate is brought to where its geometry has the sample in focus.

    Parameters
    ----------
    stxm : AlignableMicroscope
        A `redoxscope.devices.STXM`, or what can do the same.
    energy : float
        True photon energy (eV).
    travel : float
        Way of the zone plate (µm), half of it to either side of the nominal focus on the aperture.
    steps : int
        Places on that way, its ends included.
    offset : float
        Of the middle of the way from there (µm), positive downstream.
    center : float, optional
        x of the aperture in the middle (µm); by default where it
        stands when the plan is called.
    length : float
        Of the way across the aperture (µm).
    pixels : int
        Points of that way.
    dwell, edge, retries, outer, axes, md
        As of `osa_image`.

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
        As `osa_image`; the zone plate's way is looked at, too.
    """
    _check(stxm)
    motor = stxm.osa.x
    middle = float(motor.position) if center is None else as_number("center", center, "µm")
    width = as_number("length", length, "µm", above=0)
    on_osa = stxm.focus.nominal_on_aperture(energy)
    scan = steps_scan(
        energy=energy,
        dwell=dwell,
        slow=(ZONE_PLATE, [on_osa + z for z in zone_plate_way(travel, steps, offset)]),
        fast=(Outer("osa_x", "um"), centres(middle, width, as_whole("pixels", pixels, at_least=2))),
        edge=None if edge is None else get_edge(edge).name,
        retries=retries,
        outer=as_loops(outer),
    )
    given = all_axes(axes, {ZONE_PLATE.name: stxm.focus, "osa_x": motor})
    return _measure(stxm, scan, OSA_FOCUS, given, md, [motor], [back_in_focus(stxm)])


def _check(stxm: Any) -> None:
    check_device("stxm", stxm, Microscope, "STXM")
    check_device("stxm", stxm, AlignableMicroscope, "STXM")


def _grid(
    stxm: AlignableMicroscope,
    plan_name: str,
    motors: Mapping[str, Any],
    center: Any,
    size: Any,
    pixels: Any,
    *,
    energy: float,
    dwell: float,
    edge: str | None,
    retries: int,
    outer: Outers | None,
    axes: Axes | None,
    md: Mapping[str, Any] | None,
) -> MsgGenerator[str]:
    """An image over two motors, the slow one first."""
    (slow, y_motor), (fast, x_motor) = motors.items()
    here = (x_motor.position, y_motor.position) if center is None else center
    x, y = (as_number("center", value, "µm") for value in as_pair("center", here, "µm"))
    width, height = (
        as_number("size", side, "µm", above=0) for side in as_pair("size", size, "µm", single=True)
    )
    nx, ny = (
        as_whole("pixels", count, at_least=1, at_most=MAX_PIXELS)
        for count in as_pair("pixels", pixels, single=True)
    )
    scan = steps_scan(
        energy=energy,
        dwell=dwell,
        slow=(Outer(slow, "um"), centres(y, height, ny)),
        fast=(Outer(fast, "um"), centres(x, width, nx)),
        edge=None if edge is None else get_edge(edge).name,
        retries=retries,
        outer=as_loops(outer),
    )
    given = all_axes(axes, motors)
    return _measure(stxm, scan, plan_name, given, md, [x_motor, y_motor])


def _measure(
    stxm: AlignableMicroscope,
    scan: Any,
    plan_name: str,
    axes: Mapping[str, Any],
    md: Mapping[str, Any] | None,
    motors: Sequence[Any],
    back: Sequence[SafetyStep] = (),
) -> MsgGenerator[str]:
    """Measure a scan; whatever ends it, the motors go back to where they stand when it begins."""
    metadata = steps_start(scan, [det.field for det in stxm.line_detectors], plan_name)
    given, own = check_axes(scan, axes), check_metadata(md, STACK_RESERVED)

    def begun() -> MsgGenerator[str]:  # not when it is called: they may be moved meanwhile
        steps, exposed = [*back, *map(_back, motors)], spot_exposure(stxm, scan, given)
        meant = {**metadata, **exposed}
        return (yield from measure_steps(stxm, scan, given, meant, own, steps))

    return begun()


def _back(motor: Any) -> SafetyStep:
    """Send a motor back to where it stands now."""
    here = float(motor.position)
    return f"send {motor.name} back to {here:g}", partial(bps.abs_set, motor, here, wait=True)
