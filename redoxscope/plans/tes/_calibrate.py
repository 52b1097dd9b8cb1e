"""Calibration of an energy-dispersive detector on a reference sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator

from ...data import load_lines, mixture_lines
from ...documents import RIXS_RESERVED, check_metadata
from ...inputs import as_name
from .._events import event
from .._protocols import EnergyAxis, Spectrometer
from .._public import Bounds, plan
from .._safety import explained, made_safe
from ._run import check_scan, counters_back, measured, one_run, safety_steps
from ._scan import RixsScan, check_devices, passes_of

__all__ = ["CALIBRATION_POINT", "tes_calibrate"]

CALIBRATION_STREAM = "calibration"
CALIBRATION_POINT = 10.0
"""Dwell (s) of a point of a calibration: what a pause or a beam dump costs at most."""


@plan
def tes_calibrate(
    tes: Spectrometer,
    mono: EnergyAxis,
    *,
    energy: Annotated[float, Bounds("eV", above=0)] = 1000.0,
    time: Annotated[float, Bounds("s", above=0)] = 300.0,
    dwell: Annotated[float, Bounds("s", above=0)] = CALIBRATION_POINT,
    reference: str | None = "reference",
    lines: Sequence[str] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Calibrate every pixel of the detector on a reference sample of known emission lines.

    The holder goes to the reference and back. The elastic line at ``energy`` is the anchor of
    the calibration, so the monochromator's own calibration goes into it.

    Parameters
    ----------
    tes : redoxscope.devices.TES
        Detector, with the shutter, beam monitor and sample holder that are attached to it.
    mono : redoxscope.devices.Monochromator
        Sets the excitation energy.
    energy : float
        Excitation (eV), above the lines.
    time : float
        Live time (s); about 1000 photons in each pixel are wanted.
    dwell : float
        Live time of a point (s): what an interruption costs at most.
    reference : str or None
        Position of the sample holder; None where the reference is in the beam already.
    lines : sequence of str, optional
        Names of the lines or elements in the reference (see `redoxscope.data.load_lines`); a pixel
        that lacks a strong one is refused. By default those of the known mixture that is called
        like ``reference`` (see `redoxscope.data.mixture_lines`).
    md : mapping, optional
        Further metadata for the start document.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        The run's uid. The stream ``calibration`` holds the verdict on each pixel.

    Raises
    ------
    ValueError, ophyd.utils.LimitError
        As `rixs_map`.
    """
    check_devices(tes, mono)
    passes = passes_of(time, dwell)
    asked = RixsScan.asked_for(
        "tes_calibrate",
        energies=[energy],
        passes=passes,
        dwell=dwell,
        windows=(),
        pixels=0,
        sample=reference,
    )
    names = _line_names(lines, reference)
    user = check_metadata(md, RIXS_RESERVED)
    return explained(_calibrate(tes, mono, asked, names, user))


def _line_names(lines: Sequence[str] | None, reference: str | None) -> list[str]:
    """Names of the lines that the sample has; what is no list of known ones is refused."""
    if lines is None and reference is None:
        raise ValueError("reference = None needs lines = [...], the lines of what is in the beam")
    if lines is None:
        return [line.name for line in mixture_lines(str(reference)).lines]
    if isinstance(lines, str):
        raise ValueError(f"lines = {lines!r} must be a list of names, as [{lines!r}]")
    if not isinstance(lines, Iterable):
        raise ValueError(f"lines = {lines!r} must be a list of names, as ['O K']")
    names = [as_name("lines", name, "O K") for name in lines]
    if not names:
        raise ValueError("lines is empty; name the lines or elements of the reference")
    load_lines(names)  # refuses unknown ones
    return names


def _calibrate(
    tes: Spectrometer,
    mono: EnergyAxis,
    asked: RixsScan,
    lines: list[str],
    md: dict[str, Any],
) -> MsgGenerator[Any]:
    check_scan(tes, mono, asked)
    here = None if tes.holder is None or asked.sample is None else tes.holder.position
    back = yield from counters_back(tes)
    back.append(("end calibrating", partial(bps.abs_set, tes.calibrating, False)))
    yield from bps.abs_set(tes.calibrator.lines, lines)
    yield from bps.abs_set(tes.calibrator.elastic, asked.scan.points[0].energy)

    def learn() -> MsgGenerator[Any]:
        if tes.shutter is not None:
            yield from bps.abs_set(tes.shutter, "closed", wait=True)
        yield Msg("checkpoint")
        yield from bps.trigger(tes.calibrator, wait=True)
        yield from event([tes.calibrator], CALIBRATION_STREAM)

    def points() -> MsgGenerator[Any]:
        def go_back() -> MsgGenerator[Any]:
            if here is not None:
                yield from bps.abs_set(tes.holder, here, wait=True)

        there = measured(tes, mono, asked, learn)
        # Back when the beam is off.
        return (yield from bpp.finalize_wrapper(made_safe(there, safety_steps(tes)), go_back))

    return (yield from one_run(tes, mono, asked, points, md, back))
