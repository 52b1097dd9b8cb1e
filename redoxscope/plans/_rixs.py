"""RIXS with an energy-dispersive detector: maps, emission spectra, calibration."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from ..contract import (
    PHOTON_STREAM,
    RIXS_RESERVED,
    STREAM,
    TOTALS_STREAM,
    Window,
    as_name,
    as_number,
    as_numbers,
    check_metadata,
    is_number,
)
from ..data import load_lines
from ._edge import at_edge
from ._inputs import check_energies
from ._protocols import EnergyAxis, Spectrometer
from ._rixs_point import DoubtCount, event, point
from ._rixs_scan import RixsScan, check_devices, passes_of
from ._run import in_run
from ._safety import MsgGenerator, SafetyStep, close, explained, halt, made_safe, staged

__all__ = ["CALIBRATION_POINT", "rixs_map", "tes_calibrate", "xes"]

CALIBRATION_STREAM = "calibration"
ANNOUNCED = 20
"""Points between two announcements of photons: those of the last few a killed client can cost."""
CALIBRATION_POINT = 10.0
"""Dwell (s) of a point of a calibration: what a pause or a beam dump costs at most."""


def rixs_map(
    tes: Spectrometer,
    mono: EnergyAxis,
    *,
    edge: str | None = None,
    energies: Sequence[float] | None = None,
    passes: int = 5,
    dwell: float | None = None,
    windows: Sequence[str | Window] | None = None,
    pixels: int | None = None,
    sample: str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator:
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
    edge : str, optional
        ``"O K"``, ``"Mn L"``, ``"Co L"`` or ``"Ni L"``: gives energies, dwell, windows and number
        of pixels where they are not given.
    energies : sequence of float, optional
        Excitation energies (eV), all rising or all falling.
    passes : int
        How often to go through the energies.
    dwell : float, optional
        Live time of a point (s).
    windows : sequence of str or Window, optional
        ``"PFY[765:785]"``, ``"oxidised=sPFY[522.3:525.1]"``, ``"iPFY[500:540]"``,
        ``"XES[530:532]"`` (eV).
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
    scan = RixsScan.asked_for(
        "rixs_map",
        edge=edge,
        energies=energies,
        passes=passes,
        dwell=dwell,
        windows=windows,
        pixels=pixels,
        sample=sample,
    )
    return explained(_measure(tes, mono, scan, check_metadata(md, RIXS_RESERVED)))


def xes(
    tes: Spectrometer,
    mono: EnergyAxis,
    energy: float | Sequence[float],
    *,
    time: float = 60.0,
    dwell: float = 2.0,
    edge: str | None = None,
    windows: Sequence[str | Window] | None = None,
    pixels: int | None = None,
    sample: str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator:
    """Measure emission spectra at one or a few excitation energies.

    Parameters
    ----------
    tes, mono, edge, windows, pixels, sample, md
        As for `rixs_map`.
    energy : float or sequence of float
        Excitation energies (eV).
    time : float
        Live time (s) at each energy, taken in as many passes as it has dwells.
    dwell : float
        Live time of a point (s).

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
    energies = check_energies(sorted(given), "energy")
    dwell = as_number("dwell", dwell, "s", above=0)
    passes = passes_of(time, dwell)
    if windows is None:
        windows = [f"XES[{e - 0.05:g}:{e + 0.05:g}]" for e in energies]
    scan = RixsScan.asked_for(
        "xes",
        edge=edge,
        energies=energies,
        passes=passes,
        dwell=dwell,
        windows=windows,
        pixels=pixels,
        sample=sample,
    )
    return explained(_measure(tes, mono, scan, check_metadata(md, RIXS_RESERVED)))


def tes_calibrate(
    tes: Spectrometer,
    mono: EnergyAxis,
    *,
    energy: float = 1000.0,
    time: float = 300.0,
    dwell: float = CALIBRATION_POINT,
    reference: str | None = "reference",
    lines: Sequence[str] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator:
    """Calibrate every pixel of the detector on a reference sample of known emission lines.

    The holder goes to the reference and back. The elastic line at ``energy`` is the anchor of
    the calibration, so the monochromator's own calibration goes into it.

    Parameters
    ----------
    tes, mono
        As for `rixs_map`.
    energy : float
        Excitation (eV), above the lines.
    time : float
        Live time (s); about 1000 photons in each pixel are wanted.
    dwell : float
        Live time of a point (s): what an interruption costs at most.
    reference : str or None
        Position of the sample holder; None where the reference is in the beam already.
    lines : sequence of str, optional
        Names of the lines in the reference (see `redoxscope.data.load_lines`).
    md : mapping, optional

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
    energy = as_number("energy", energy, "eV", above=0)
    dwell = as_number("dwell", dwell, "s", above=0)
    passes = passes_of(time, dwell)
    scan = RixsScan.asked_for(
        "tes_calibrate",
        energies=[energy],
        passes=passes,
        dwell=dwell,
        windows=(),
        pixels=0,
        sample=reference,
    )
    if isinstance(lines, str):
        raise ValueError(f"lines = {lines!r} must be a list of names, as [{lines!r}]")
    if lines is not None and not isinstance(lines, Iterable):
        raise ValueError(f"lines = {lines!r} must be a list of names, as ['O K']")
    names = [as_name("lines", name, "O K") for name in (() if lines is None else lines)]
    load_lines(names or None)  # refuses unknown names before anything moves
    user = check_metadata(md, RIXS_RESERVED)
    return explained(_calibrate(tes, mono, scan, names, user))


def _check(tes: Spectrometer, mono: EnergyAxis, scan: RixsScan) -> None:
    """Everything that can be wrong, before anything moves."""
    offset = mono.offset_at(scan.edge)
    for energy in scan.energies:
        mono.check_value(energy, offset=offset)
    if scan.sample is not None:
        if tes.holder is None:
            raise ValueError(
                f"{tes.name} has no sample holder, so sample = {scan.sample!r} cannot be reached"
            )
        tes.holder.check_value(scan.sample)
    if tes.shutter is not None:
        tes.shutter.check_free()
        tes.shutter.check_open_time(scan.dwell, f"a point of {tes.name}")
    tes.check_scan(
        dwell=scan.dwell,
        windows=[str(window) for window in scan.windows],
        pixels=scan.pixels,
        calibrating=scan.plan_name == "tes_calibrate",
    )


def _settings(tes: Spectrometer, scan: RixsScan) -> MsgGenerator:
    """Set what is asked for, and wait: a plan that ends at once sets some of it back."""
    for signal, value in (
        (tes.dwell, scan.dwell),
        (tes.windows, [str(window) for window in scan.windows]),
        (tes.pixel_limit, scan.pixels),
        (tes.calibrating, scan.plan_name == "tes_calibrate"),
        *((counter.dwell, scan.dwell) for counter in tes.counters),
    ):
        yield from bps.abs_set(signal, value, group="settings")
    yield from bps.wait("settings")


def _to_sample(tes: Spectrometer, scan: RixsScan, plan: MsgGenerator) -> MsgGenerator:
    """Move the holder, when the run is open and its start document proved right."""
    if scan.sample is not None:
        yield Msg("checkpoint")
        yield from bps.abs_set(tes.holder, scan.sample, wait=True)
    return (yield from plan)


def _steps(tes: Spectrometer) -> list[Any]:
    steps = [halt(tes)]
    if tes.shutter is not None:
        steps.append(close(tes.shutter))
    return steps


def _with_shutter(tes: Spectrometer, plan: MsgGenerator) -> MsgGenerator:
    """Have the shutter, which nobody else may open meanwhile."""
    if tes.shutter is None:
        return plan
    return bpp.stage_wrapper(plan, [tes.shutter])


def _measure(
    tes: Spectrometer, mono: EnergyAxis, scan: RixsScan, md: dict[str, Any]
) -> MsgGenerator:
    _check(tes, mono, scan)
    back = yield from _counters_back(tes)

    def points() -> MsgGenerator:
        return (yield from made_safe(_to_sample(tes, scan, _points(tes, mono, scan)), _steps(tes)))

    def whole() -> MsgGenerator:
        yield from _settings(tes, scan)
        run = in_run(points, scan.metadata(tes, mono), md, RIXS_RESERVED)
        return (yield from _with_shutter(tes, staged(tes, run)))

    return (yield from made_safe(at_edge(mono, scan.edge, whole()), back))


def _calibrate(
    tes: Spectrometer,
    mono: EnergyAxis,
    scan: RixsScan,
    lines: list[str],
    md: dict[str, Any],
) -> MsgGenerator:
    _check(tes, mono, scan)
    here = None if tes.holder is None or scan.sample is None else tes.holder.position
    back = yield from _counters_back(tes)
    back.append(("end calibrating", partial(bps.abs_set, tes.calibrating, False)))
    yield from bps.abs_set(tes.calibrator.lines, lines)
    yield from bps.abs_set(tes.calibrator.elastic, scan.energies[0])

    def learn() -> MsgGenerator:
        if tes.shutter is not None:
            yield from bps.abs_set(tes.shutter, "closed", wait=True)
        yield Msg("checkpoint")
        yield from bps.trigger(tes.calibrator, wait=True)
        yield from event([tes.calibrator], CALIBRATION_STREAM)

    def points() -> MsgGenerator:
        def go_back() -> MsgGenerator:
            if here is not None:
                yield from bps.abs_set(tes.holder, here, wait=True)

        there = _to_sample(tes, scan, _points(tes, mono, scan, learn))
        # Back when the beam is off.
        return (yield from bpp.finalize_wrapper(made_safe(there, _steps(tes)), go_back))

    def whole() -> MsgGenerator:
        yield from _settings(tes, scan)
        run = in_run(points, scan.metadata(tes, mono), md, RIXS_RESERVED)
        return (yield from _with_shutter(tes, staged(tes, run)))

    return (yield from made_safe(at_edge(mono, scan.edge, whole()), back))


def _counters_back(tes: Spectrometer) -> Generator[Msg, Any, list[SafetyStep]]:
    """What gives the counters, which are everybody's, the dwell that they had."""
    steps: list[SafetyStep] = []
    for counter in tes.counters:
        reading = yield Msg("read", counter.dwell)
        if reading:
            value = reading[counter.dwell.name]["value"]
            what = f"set {counter.dwell.name} back to {value:g} s"
            steps.append((what, partial(bps.abs_set, counter.dwell, value, wait=True)))
    return steps


def _points(
    tes: Spectrometer,
    mono: EnergyAxis,
    scan: RixsScan,
    learn: Callable[[], MsgGenerator] | None = None,
) -> MsgGenerator:
    read = [tes, mono, *tes.counters]
    if tes.ring is not None:
        read.append(tes.ring)
    read.append(tes.conditions)
    here = None if tes.holder is None else scan.sample or tes.holder.position
    asked = {"mono": mono, "sample": here, "dwell": scan.dwell}
    doubts = DoubtCount()
    yield Msg("checkpoint")
    # Before the first point, so that a live map knows the bins while it is measured.
    yield from bps.declare_stream(*read, name=STREAM)
    yield from bps.declare_stream(tes.photons, name=PHOTON_STREAM, collect=True)
    try:
        for _ in range(scan.passes):
            for k, energy in enumerate(scan.energies, start=1):
                yield from point(tes, {**asked, "energy": energy}, read, doubts)
                if k % ANNOUNCED == 0 or k == len(scan.energies):
                    yield from _announce(tes)
        doubts.tell(scan.passes * len(scan.energies))
        yield from bps.trigger(tes.totals, wait=True)
        yield from _announce(tes)
        yield from event([tes.totals], TOTALS_STREAM)
        if learn is not None:
            yield from learn()
    except GeneratorExit:
        raise
    except BaseException:
        # Photons that were counted before it went wrong are data.
        yield Msg("collect", tes.photons, name=PHOTON_STREAM, return_payload=False)
        raise


def _announce(tes: Spectrometer) -> MsgGenerator:
    """Announce the photons that came; between checkpoints, for a replay counts rows twice."""
    yield Msg("checkpoint")
    yield Msg("collect", tes.photons, name=PHOTON_STREAM, return_payload=False)
    yield Msg("checkpoint")
