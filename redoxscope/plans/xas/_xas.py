"""X-ray absorption spectra in electron yield, fluorescence yield and transmission."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator

from ...data import xas_edges
from ...documents import XAS_RESERVED, check_metadata
from ...scan import MAX_PARTS, Role, Scan, Zone
from .._edge import at_edge
from .._foretold import foretold
from .._inputs import check_device
from .._point_checks import point_checks
from .._protocols import AbsorptionStation
from .._public import Bounds, OneOf, plan
from .._run import in_run
from .._safety import SafetyStep, close, explained, halt, made_safe
from ..progress import with_progress
from ._asked import XasScan
from ._fly import InFlight, flown_lines, lines
from ._points import points

__all__ = ["xas"]


@plan
def xas(
    station: AbsorptionStation,
    *,
    edge: Annotated[str | None, OneOf(xas_edges())] = None,
    energies: Annotated[Sequence[float] | None, Bounds("eV", above=0)] = None,
    zones: Sequence[Zone | Mapping[str, Any] | Sequence[float]] | None = None,
    repeats: Annotated[int | None, Bounds(at_least=1, at_most=MAX_PARTS)] = None,
    dwell: Annotated[float | None, Bounds("s", above=0)] = None,
    sample: str | None = None,
    fly: bool = False,
    scan: Scan | Mapping[str, Any] | str | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure absorption spectra, all modes of the station at once, one event per point.

    The monochromator goes through the energies once per repeat; repeats are kept apart, so that
    they can be compared and one that went wrong can be left out.

    Parameters
    ----------
    station : redoxscope.devices.XASStation
        With the monochromator, the detectors and the shutter that are bound to it.
    edge : str, optional
        ``"O K"``, ``"Mn L"``, … or a K edge, ``"Ni K"``: gives energies and dwell where they are
        not given, and the monochromator's energy offset.
    energies : sequence of float, optional
        True photon energies (eV), in the order in which they are gone to.
    zones : sequence of Zone, mapping or (start, stop, step[, dwell]), optional
        Instead of energies: zones, each with a step (eV) and, where it is not ``dwell``, a time
        per point (s) of its own.
    repeats : int, optional
        How often to go through the energies; once by default.
    dwell : float, optional
        Time of a point (s).
    sample : str, optional
        Go to this position of the sample holder first.
    fly : bool
        Have the energy move evenly while the channels are measured, a zone or a part of one at a
        time, instead of stopping at each point. The station needs a ``sweep``.
    scan : Scan, mapping, JSON text or path of a file, optional
        Measure this scan of points, instead of one that edge, energies, repeats and dwell make:
        ``Scan.from_start(run.start)`` measures a run again. Points of the role *dark* are
        measured with the shutter closed: what the channels say then is their offset.
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
        A value that makes no sense, when the plan is called; an unknown sample, a dwell that a
        detector cannot have, or energies that cannot be flown so fast, before its first message.
    ophyd.utils.LimitError
        An energy outside the monochromator's limits, before the plan's first message.
    RuntimeError
        Somebody else took the shutter, or three points in a row could not be measured as asked.

    Notes
    -----
    What is read back during each point is compared with what was asked: energy, undulator,
    sample, shutter, ring current, beam monitor, dwell. Where it differs, also for a moment, the
    point is measured again, at most twice; then it is kept as doubtful, with an
    ``xas_point_status`` that is not 0, and is in no spectrum. ``xas_point_tries`` says how often a
    point was begun: more than once after a pause or a suspension, too.

    The detectors get back their dwell. The sample stays in the beam, the monochromator where it
    is.
    """
    check_device("station", station, AbsorptionStation, "XASStation")
    asked = XasScan.asked_for(
        edge=edge,
        energies=energies,
        zones=zones,
        repeats=repeats,
        dwell=dwell,
        sample=sample,
        fly=fly,
        scan=scan,
    )
    return explained(_measure(station, asked, check_metadata(md, XAS_RESERVED)))


def _measure(station: AbsorptionStation, asked: XasScan, md: dict[str, Any]) -> MsgGenerator[str]:
    for check in point_checks(station, station.mono, asked.scan):
        check()
    if station.shutter is None and any(p.role is Role.DARK for p in asked.scan.points):
        raise ValueError(f"the scan has points of the role 'dark', and {station.name} no shutter")
    if asked.fly:
        _check_flight(station, asked)
    if asked.sample is not None:
        if station.holder is None:
            raise ValueError(
                f"{station.name} has no sample holder, so sample = {asked.sample!r} cannot be "
                "reached"
            )
        station.holder.check_value(asked.sample)
    back = yield from _settings_back(station)

    def safe() -> MsgGenerator[None]:
        steps: list[SafetyStep] = [halt(station)]
        if station.shutter is not None:
            steps.append(close(station.shutter))
        return (yield from made_safe(_measured(station, asked), steps))

    run: Callable[[], MsgGenerator[str]] = partial(
        in_run, safe, asked.metadata(station), md, XAS_RESERVED
    )
    used = [station] if station.shutter is None else [station.shutter, station]
    staged = bpp.stage_wrapper(run(), used)
    whole = at_edge(station.mono, asked.scan.edge, staged)
    return (yield from made_safe(whole, back))


def _check_flight(station: AbsorptionStation, asked: XasScan) -> None:
    """Refuse what cannot be flown."""
    if station.sweep is None:
        raise ValueError(f"fly = True: {station.name} has no sweep, so it measures in steps only")
    if not station.flown_modes:
        raise ValueError(
            f"fly = True: {station.sweep.name} has no channels of which a spectrum can be made"
        )
    if any(point.role is not Role.SAMPLE for point in asked.scan.points):
        raise ValueError("fly = True: a line has points of the role 'sample' only")
    flown_lines(station, asked.scan)


def _measured(station: AbsorptionStation, asked: XasScan) -> MsgGenerator[None]:
    timed = InFlight(station, asked.scan) if asked.fly else station
    if (yield from foretold((timed, station.mono), asked.scan)):
        return
    if asked.sample is not None:
        yield Msg("checkpoint")
        yield from bps.abs_set(station.holder, asked.sample, wait=True)
    measured = lines(station, asked) if asked.fly else points(station, asked)
    yield from with_progress(measured, asked.scan, timed, station.mono)


def _settings_back(station: AbsorptionStation) -> MsgGenerator[list[SafetyStep]]:
    """What gives the detectors, which are everybody's, the dwell that they had."""
    steps: list[SafetyStep] = []
    for signal in (*station.dwells, *station.darkened):
        reading = yield Msg("read", signal)
        if reading:
            value = reading[signal.name]["value"]
            what = f"set {signal.name} back to {value}"
            steps.append((what, partial(bps.abs_set, signal, value, wait=True)))
    return steps
