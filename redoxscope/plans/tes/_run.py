"""What every run of the spectrometer does: checks, settings, shutter, sample, points."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from ...documents import PHOTON_STREAM, RIXS_RESERVED, STREAM
from .._doubts import DoubtCount
from .._edge import at_edge
from .._foretold import foretold
from .._point_checks import point_checks
from .._protocols import EnergyAxis, Spectrometer
from .._run import in_run
from .._safety import MsgGenerator, SafetyStep, close, halt, made_safe, staged
from ..progress import with_progress
from ._photons import ANNOUNCED, announced, collected, totals
from ._point import point
from ._scan import RixsScan

__all__ = ["check_scan", "counters_back", "measured", "one_run", "safety_steps"]


def check_scan(tes: Spectrometer, mono: EnergyAxis, asked: RixsScan) -> None:
    """Everything that can be wrong, before anything moves."""
    settings = {
        "windows": [str(window) for window in asked.windows],
        "pixels": asked.pixels,
        "calibrating": asked.plan_name == "tes_calibrate",
    }
    for check in point_checks(tes, mono, asked.scan, **settings):
        check()
    if asked.sample is not None:
        if tes.holder is None:
            raise ValueError(
                f"{tes.name} has no sample holder, so sample = {asked.sample!r} cannot be reached"
            )
        tes.holder.check_value(asked.sample)


def _settings(tes: Spectrometer, asked: RixsScan) -> MsgGenerator:
    """Set what is asked for, and wait: a plan that ends at once sets some of it back."""
    dwell = asked.scan.points[0].dwell
    for signal, value in (
        (tes.dwell, dwell),
        (tes.windows, [str(window) for window in asked.windows]),
        (tes.pixel_limit, asked.pixels),
        (tes.calibrating, asked.plan_name == "tes_calibrate"),
        *((counter.dwell, dwell) for counter in tes.counters),
    ):
        yield from bps.abs_set(signal, value, group="settings")
    yield from bps.wait("settings")


def measured(
    tes: Spectrometer,
    mono: EnergyAxis,
    asked: RixsScan,
    learn: Callable[[], MsgGenerator] | None = None,
) -> MsgGenerator:
    """What a run consists of, when it is open and its start document proved right.

    The holder goes to its sample, then come all points with their photons, then ``learn``.
    """
    if not (yield from foretold((tes, mono), asked.scan)):
        points = _at_sample(tes, mono, asked, learn)
        yield from with_progress(points, asked.scan, tes, mono)


def _at_sample(
    tes: Spectrometer,
    mono: EnergyAxis,
    asked: RixsScan,
    learn: Callable[[], MsgGenerator] | None,
) -> MsgGenerator:
    if asked.sample is not None:
        yield Msg("checkpoint")
        yield from bps.abs_set(tes.holder, asked.sample, wait=True)
    yield from _points(tes, mono, asked, learn)


def safety_steps(tes: Spectrometer) -> list[SafetyStep]:
    """What makes a run safe: the detector stopped, the shutter closed."""
    steps = [halt(tes)]
    if tes.shutter is not None:
        steps.append(close(tes.shutter))
    return steps


def _with_shutter(tes: Spectrometer, plan: MsgGenerator) -> MsgGenerator:
    """Have the shutter, which nobody else may open meanwhile."""
    if tes.shutter is None:
        return plan
    return bpp.stage_wrapper(plan, [tes.shutter])


def one_run(
    tes: Spectrometer,
    mono: EnergyAxis,
    asked: RixsScan,
    points: Callable[[], MsgGenerator],
    md: dict[str, Any],
    back: list[SafetyStep],
) -> MsgGenerator:
    """Measure ``points`` as one run: at the edge's offset, staged, the shutter nobody else's.

    ``back`` undoes what was set for it, whatever ends it.
    """

    def whole() -> MsgGenerator:
        yield from _settings(tes, asked)
        run = in_run(points, asked.metadata(tes, mono), md, RIXS_RESERVED)
        return (yield from _with_shutter(tes, staged(tes, run)))

    return (yield from made_safe(at_edge(mono, asked.scan.edge, whole()), back))


def counters_back(tes: Spectrometer) -> Generator[Msg, Any, list[SafetyStep]]:
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
    asked: RixsScan,
    learn: Callable[[], MsgGenerator] | None,
) -> MsgGenerator:
    """All points of a scan, their photons announced; then ``learn``, within the same run."""
    read = [tes, mono, *tes.counters]
    if tes.ring is not None:
        read.append(tes.ring)
    read.append(tes.conditions)
    here = None if tes.holder is None else asked.sample or tes.holder.position
    points, several = asked.scan.points, len(asked.dwells) > 1
    doubts = DoubtCount(asked.scan.retries)
    yield Msg("checkpoint")
    # Before the first point, so that a live map knows the bins while it is measured.
    yield from bps.declare_stream(*read, name=STREAM)
    yield from bps.declare_stream(tes.photons, name=PHOTON_STREAM, collect=True)
    try:
        since = 0
        for number, each in enumerate(points):
            wanted = {
                "mono": mono, "energy": each.energy, "dwell": each.dwell, "sample": here,
                "point": number,
            }  # fmt: skip
            yield from point(tes, wanted, read, doubts, set_dwell=several)
            since += 1
            after = points[number + 1 : number + 2]
            if since == ANNOUNCED or not after or after[0].repeat != each.repeat:
                since = 0
                yield from announced(tes)
        doubts.tell(len(points))
        yield from totals(tes)
        if learn is not None:
            yield from learn()
    except GeneratorExit:
        raise
    except BaseException:
        # Photons that were counted before it went wrong are data.
        yield from collected(tes)
        raise
