"""RIXS with an energy-dispersive detector: maps and emission spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from bluesky.utils import MsgGenerator

from ...data import rixs_edges
from ...documents import RIXS_RESERVED, Window, check_metadata
from ...inputs import as_numbers, is_number
from ...scan import MAX_PARTS, Scan, Zone
from .._protocols import EnergyAxis, Spectrometer
from .._public import Bounds, OneOf, plan
from .._safety import explained, made_safe
from ..tes import (
    RixsScan,
    check_devices,
    check_scan,
    counters_back,
    measured,
    one_run,
    passes_of,
    safety_steps,
)

__all__ = ["rixs_map", "xes"]

DEFAULT_PASSES = 5


@plan
def rixs_map(
    tes: Spectrometer,
    mono: EnergyAxis,
    *,
    edge: Annotated[str | None, OneOf(rixs_edges())] = None,
    energies: Annotated[Sequence[float] | None, Bounds("eV", above=0)] = None,
    zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
    passes: Annotated[int | None, Bounds(at_least=1, at_most=MAX_PARTS)] = None,
    dwell: Annotated[float | None, Bounds("s", above=0)] = None,
    windows: Sequence[str | Window] | None = None,
    pixels: Annotated[int | None, Bounds(at_least=0)] = None,
    sample: str | None = None,
    scan: Scan | Mapping[str, Any] | str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure an excitation × emission map, one event per point.

    The monochromator goes through the energies once per pass; at each the detector counts for
    ``dwell`` seconds of its own clock. Passes are kept apart, so that they can be compared: a
    sample that changes under the beam shows there.

    Parameters
    ----------
    tes : redoxscope.devices.TES
        Calibrated detector (see `tes_calibrate`), with the shutter and the beam monitor that
        are attached to it.
    mono : redoxscope.devices.Monochromator
        Sets the excitation energy.
    edge : str, optional
        ``"O K"``, ``"Mn L"``, ``"Co L"`` or ``"Ni L"``: gives energies, dwell, windows and number
        of pixels where they are not given.
    energies : sequence of float, optional
        Excitation energies (eV), in the order in which they are gone to; one may be there more
        than once.
    zones : sequence of Zone, mapping or (start, stop, step[, dwell]), optional
        Instead of energies: zones, each with a step (eV) and, where it is not ``dwell``, a live
        time (s) of its own.
    passes : int, optional
        How often to go through the energies; 5 by default.
    dwell : float, optional
        Live time of a point (s).
    windows : sequence of str or Window, optional
        ``"PFY[765:785]"``, ``"oxidised=sPFY[522.3:525.1]"``, ``"iPFY[500:540]"``,
        ``"XES[530:532]"`` (eV).
    pixels : int, optional
        Use only so many pixels, those of the best resolution; 0: all.
    sample : str, optional
        Go to this position of the sample holder first.
    scan : Scan, mapping, JSON text or path of a file, optional
        Measure this scan of points, instead of one that edge, energies, passes and dwell make:
        ``Scan.from_start(run.start)`` measures a run again.
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
        A value that makes no sense, when the plan is called; a window outside the detector's
        spectrum, an unknown sample, or a detector without calibration, before its first message.
    ophyd.utils.LimitError
        An energy outside the monochromator's limits, before the plan's first message.
    RuntimeError
        Somebody else took the shutter, or three points in a row could not be measured as asked.

    Notes
    -----
    What is read back during each point is compared with what was asked: energy, undulator,
    sample, shutter, ring current, beam monitor, dwell of the counters. Where it differs, also for
    a moment, the point is measured again, at most twice; then it is kept as doubtful, with a
    ``tes_point_status`` that is not 0, and no map counts it.

    The counters get back their dwell. The sample stays in the beam, the monochromator where it
    is; ``tes.dwell``, ``windows`` and ``pixel_limit`` stay those of the run.
    """
    check_devices(tes, mono)
    asked = RixsScan.asked_for(
        "rixs_map",
        edge=edge,
        energies=energies,
        zones=zones,
        passes=DEFAULT_PASSES if passes is None and scan is None else passes,
        dwell=dwell,
        windows=windows,
        pixels=pixels,
        sample=sample,
        scan=scan,
    )
    return explained(_measure(tes, mono, asked, check_metadata(md, RIXS_RESERVED)))


@plan
def xes(
    tes: Spectrometer,
    mono: EnergyAxis,
    energy: Annotated[float | Sequence[float], Bounds("eV", above=0)],
    *,
    time: Annotated[float, Bounds("s", above=0)] = 60.0,
    dwell: Annotated[float, Bounds("s", above=0)] = 2.0,
    edge: Annotated[str | None, OneOf(rixs_edges())] = None,
    windows: Sequence[str | Window] | None = None,
    pixels: Annotated[int | None, Bounds(at_least=0)] = None,
    sample: str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure emission spectra at one or a few excitation energies.

    Parameters
    ----------
    tes : redoxscope.devices.TES
        Calibrated detector (see `tes_calibrate`).
    mono : redoxscope.devices.Monochromator
        Sets the excitation energy.
    energy : float or sequence of float
        Excitation energies (eV).
    time : float
        Live time (s) at each energy, taken in as many passes as it has dwells.
    dwell : float
        Live time of a point (s).
    edge : str, optional
        Whose energy offset applies and whose windows and number of pixels are taken where they
        are not given, as for `rixs_map`.
    windows : sequence of str or Window, optional
        As for `rixs_map`; by default one ``XES`` around each energy.
    pixels : int, optional
        Use only so many pixels, those of the best resolution; 0: all.
    sample : str, optional
        Go to this position of the sample holder first.
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
    ValueError, ophyd.utils.LimitError
        As `rixs_map`.
    """
    check_devices(tes, mono)
    given = as_numbers("energy", [energy] if is_number(energy) else energy, "eV", what="energies")
    if windows is None:
        windows = [f"XES[{e - 0.05:g}:{e + 0.05:g}]" for e in dict.fromkeys(given)]
    asked = RixsScan.asked_for(
        "xes",
        edge=edge,
        energies=given,
        passes=passes_of(time, dwell),
        dwell=dwell,
        windows=windows,
        pixels=pixels,
        sample=sample,
    )
    return explained(_measure(tes, mono, asked, check_metadata(md, RIXS_RESERVED)))


def _measure(
    tes: Spectrometer, mono: EnergyAxis, asked: RixsScan, md: dict[str, Any]
) -> MsgGenerator[str]:
    check_scan(tes, mono, asked)
    back = yield from counters_back(tes)

    def points() -> MsgGenerator[Any]:
        return (yield from made_safe(measured(tes, mono, asked), safety_steps(tes)))

    return (yield from one_run(tes, mono, asked, points, md, back))
