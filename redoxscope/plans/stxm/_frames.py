"""Measures the images of a scan, one after the other, in one run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator
from ophyd import Signal
from ophyd.utils import LimitError

from ...documents import STACK_RESERVED
from ...inputs import plain_number
from ...optics import InterlockError
from ...scan import ZONE_PLATE, Frame, Outer, Region, Role, Scan, lines_of
from .._edge import at_edge
from .._inputs import check_device
from .._outage import outlasting
from .._pauses import Pauses, uninterrupted
from .._protocols import AlignableMicroscope, Microscope
from .._run import Ended, in_run
from .._safety import SafetyStep, close, cooled, halt, heaters, kept_safe, made_safe
from ..progress import with_progress
from ._adaptive import Adaptive
from ._ahead import foretold_ahead
from ._dose_limit import DoseGuard
from ._follow import Follow, corners
from ._line_stream import LineStream

__all__ = ["back_in_focus", "check_values", "measure_frames", "where"]


def measure_frames(
    stxm: Microscope,
    scan: Scan,
    axes: Mapping[str, Any],
    metadata: Mapping[str, Any],
    md: Mapping[str, Any],
    adaptive: Adaptive | None = None,
    follow: Follow | None = None,
    begin: tuple[int, int] = (0, 0),
    dose: DoseGuard | None = None,
) -> MsgGenerator[str]:
    """Measure a scan of images.

    Whatever ends it, the scanner is halted, the shutter closed, a heater of its loops made safe,
    and the zone plate brought back into focus where it is one of them.

    Parameters
    ----------
    stxm : Microscope
    scan : Scan
        Of lines.
    axes : mapping of str to device
        For each outer loop, by its name.
    metadata, md : mapping
        The plan's start document, and what the user adds.
    adaptive : Adaptive, optional
        Leaves out what the map does not need.
    follow : Follow, optional
        Moves its regions after the sample.
    begin : tuple of int
        Frame and line to begin at; what comes before was measured elsewhere.
    dose : DoseGuard, optional
        Ends it before the sample has too much.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
        Outside the limits or against the geometry. Raised before the first message.
    """
    stxm.check_scan(scan)
    for moved in () if follow is None else corners(scan, follow.farthest):
        stxm.check_scan(moved)
    check_values(scan, axes)
    hot = heaters(axes.values())
    back = [_focus_back(stxm, axes)] if any(map(_is_focus, scan.outer)) else []

    def images() -> MsgGenerator[Ended | None]:
        steps = (halt(stxm.scanner), close(stxm.shutter), *map(cooled, hot), *back)
        plan = _frames(stxm, scan, axes, adaptive, follow, begin, dose)
        return (yield from made_safe(plan, steps))

    @bpp.stage_decorator([stxm])
    def run() -> MsgGenerator[str]:
        return (yield from in_run(images, metadata, md, STACK_RESERVED))

    plan = at_edge(stxm.monochromator, scan.edge, run())
    return (yield from kept_safe(hot, plan))


def _frames(
    stxm: Microscope,
    scan: Scan,
    axes: Mapping[str, Any],
    adaptive: Adaptive | None,
    follow: Follow | None,
    begin: tuple[int, int],
    dose: DoseGuard | None,
) -> MsgGenerator[Ended | None]:
    if (yield from foretold_ahead(stxm, scan, begin[0], adaptive, dose)):
        return None
    tokens = []
    for watching in (dose, adaptive, follow):
        if watching is not None:
            tokens.append((yield Msg("subscribe", None, watching, "all")))
    measured = _measured(stxm, scan, axes, adaptive, follow, begin, dose)
    early = None if adaptive is None or adaptive.target is None else adaptive.told
    yield from with_progress(measured, scan, stxm, begin=begin, ends_early=early)
    for token in tokens:
        yield Msg("unsubscribe", None, token=token)
    reasons = (one.ended() for one in (dose, adaptive) if one is not None)
    return next(filter(None, reasons), None)


def _measured(
    stxm: Microscope,
    scan: Scan,
    axes: Mapping[str, Any],
    adaptive: Adaptive | None,
    follow: Follow | None,
    begin: tuple[int, int],
    dose: DoseGuard | None,
) -> MsgGenerator[None]:
    streams: dict[int, LineStream] = {}
    flown: tuple[LineStream, str] | None = None
    before: Frame | None = None
    prepared: Any = None
    sent: float | None = None  # energy that is gone to, or was
    pauses, asked = Pauses(), 0
    focused = any(map(_is_focus, scan.outer))
    yield from pauses.watch()
    try:
        for index, frame in enumerate(scan.frames):
            if index < begin[0] or (adaptive is not None and adaptive.skips(index)):
                continue
            if dose is not None and not dose.allows(index):
                continue
            following = _following(scan, index, adaptive)
            same = None if pauses.count != asked else before  # a pause stops a heater, too
            if scan.outer and (same is None or frame.outer != same.outer):
                asked = pauses.count
                yield from _set_outer(scan, axes, same, frame, _not_focus)
            region = scan.regions[frame.region] if follow is None else follow.region(frame.region)
            some = None if adaptive is None else adaptive.blocks(frame)
            blocks = some or [range(region.pixels[1])]
            if index == begin[0]:
                blocks = [
                    range(max(b.start, begin[1]), b.stop) for b in blocks if b.stop > begin[1]
                ]
                if not blocks:  # what is left of it is not needed
                    continue
            whole = frame.region not in streams  # its descriptor holds the raster of all of it
            begins = region if whole else lines_of(region, blocks[0])
            if (frame.region, frame.dwell, begins) != prepared:
                prepare = partial(_prepare, stxm, scan, frame, begins)
                yield from outlasting(partial(uninterrupted, prepare, pauses), stxm)
                prepared = frame.region, frame.dwell, begins
            name = scan.stream_of(frame.region)
            if frame.region not in streams:
                # Now, and not before: the descriptor holds the raster that was just prepared.
                made = yield from outlasting(partial(_declare, stxm, scan, name, follow), stxm)
                streams[frame.region] = made
            if before is None:
                yield from bps.abs_set(stxm.shutter, "follow", wait=True)
            if frame.energy != sent:  # the first; after images that were left out
                yield from outlasting(partial(_go_to, stxm, frame.energy), stxm)
            at = same if same is not None and same.energy == frame.energy else None
            if focused and (at is None or frame.outer != at.outer):
                # After the energy: where it is sent, it takes the zone plate with it.
                yield from outlasting(partial(_set_outer, scan, axes, at, frame, _is_focus), stxm)
            stream = streams[frame.region]
            stream.around = [where(axes[outer.name]) for outer in scan.outer]
            if follow is not None:
                stream.followed = follow.offset(frame.region)
            for i, block in enumerate(blocks):
                part = lines_of(region, block)
                if (frame.region, frame.dwell, part) != prepared:
                    prepare = partial(_prepare, stxm, scan, frame, part)
                    yield from outlasting(partial(uninterrupted, prepare, pauses), stxm)
                    prepared = frame.region, frame.dwell, part
                stream.frame, stream.first_line, flown = index, block.start, (stream, name)
                then = following if i == len(blocks) - 1 else frame
                yield from _image(stxm, stream, name, frame, then)
            before, sent = frame, frame.energy if following is None else following.energy
            if follow is not None:
                yield from follow.seen(index)
            last = following is None or _turn(following) != _turn(frame)
            if adaptive is not None and frame.role is not Role.DOSE_CHECK and last:
                yield from adaptive.judged(index)
    except GeneratorExit:
        raise
    except BaseException:
        if flown is not None:  # lines that were finished before it went wrong are data
            yield Msg("collect", flown[0], name=flown[1], return_payload=False)
        raise


def _following(scan: Scan, index: int, adaptive: Adaptive | None) -> Frame | None:
    """The image after this one."""
    rest = range(index + 1, len(scan.frames))
    return next((scan.frames[i] for i in rest if adaptive is None or not adaptive.skips(i)), None)


def _turn(frame: Frame) -> tuple[float, tuple[float, ...], bool]:
    """What the images have in common that are judged together."""
    return frame.energy, frame.outer, frame.role is Role.DOSE_CHECK


def _is_focus(outer: Outer) -> bool:
    return outer.name == ZONE_PLATE.name


def _not_focus(outer: Outer) -> bool:
    return not _is_focus(outer)


def _focus_back(stxm: Any, axes: Mapping[str, Any]) -> SafetyStep:
    """What brings the zone plate back, for the energy keeps the distance from focus it is set to.

    Raises
    ------
    ValueError
        It is no axis of the microscope that would be set.
    """
    check_device("stxm", stxm, AlignableMicroscope, "STXM")
    name = ZONE_PLATE.name
    if axes[name] is not stxm.focus:
        raise ValueError(
            f"axes[{name!r}] must be {stxm.name}.focus: any other is taken back into focus by the "
            "energy"
        )
    return back_in_focus(stxm)


def back_in_focus(stxm: AlignableMicroscope) -> SafetyStep:
    """Bring the zone plate back to where its geometry says."""

    def back() -> MsgGenerator[None]:
        yield from bps.abs_set(stxm.focus, stxm.focus.nominal(), wait=True)

    return f"bring {stxm.focus.name} back into focus", back


def check_values(scan: Scan, axes: Mapping[str, Any]) -> None:
    """Refuse values of outer loops that their axes refuse; says which, and the way of them all."""
    for i, outer in enumerate(scan.outer):
        axis = axes[outer.name]
        if not hasattr(axis, "check_value"):
            continue
        values = {part.outer[i] for part in scan.parts}
        first, last = min(values), max(values)
        # The ends first: it is they that go farthest beyond a limit.
        for value in sorted(values, key=lambda v: (-abs(2 * v - first - last), v)):
            try:
                axis.check_value(value)
            except (LimitError, InterlockError) as exc:
                unit = "µm" if outer.unit == "um" else outer.unit
                way = f"travel {last - first:g} {unit}, " if outer.name == ZONE_PLATE.name else ""
                said = f"{outer.name} from {first:g} to {last:g} {unit}".rstrip()
                raise type(exc)(f"{way}{said}: {exc}") from exc


def where(axis: Any) -> float:
    """Where an axis says that it is; NaN where it does not. A signal has a value, no position."""
    position: Any = axis.get() if isinstance(axis, Signal) else getattr(axis, "position", None)
    number = plain_number(position)
    return math.nan if number is None else number


def _set_outer(
    scan: Scan,
    axes: Mapping[str, Any],
    before: Frame | None,
    frame: Frame,
    which: Callable[[Outer], bool],
) -> MsgGenerator[None]:
    """Set the axes of outer loops whose values differ from those of the image before."""
    yield Msg("checkpoint")
    for i, outer in enumerate(scan.outer):
        if which(outer) and (before is None or before.outer[i] != frame.outer[i]):
            yield Msg("set", axes[outer.name], frame.outer[i], group="outer")
    yield Msg("wait", None, group="outer")


def _declare(
    stxm: Microscope, scan: Scan, name: str, follow: Follow | None
) -> MsgGenerator[LineStream]:
    """Declare the stream of a region; between checkpoints, for a replay would do it again.

    Each try has an object of its own: bluesky keeps what one that failed has said so far.
    """
    stream = LineStream(stxm.scanner, stxm.fixed_parts, scan.outer)
    stream.followed = None if follow is None else (0.0, 0.0)
    yield Msg("checkpoint")
    yield from bps.declare_stream(stream, name=name, collect=True)
    yield Msg("checkpoint")
    return stream


def _prepare(stxm: Microscope, scan: Scan, frame: Frame, region: Region) -> MsgGenerator[None]:
    """Bring the stage to a region, and tell the scanner its raster.

    All of it again after a pause: the raster is that of a region as long as the coarse stage
    stands where it stood, and in a pause anybody may move it.
    """
    stage = stxm.sample_stage
    place = partial(stxm.place, region, frame.dwell, retries=scan.retries)
    yield Msg("checkpoint")
    coarse = place()
    for motor, target in ((stage.x, coarse.coarse_x), (stage.y, coarse.coarse_y)):
        if target is not None:
            yield Msg("set", motor, target, group="coarse")
    yield Msg("wait", None, group="coarse")
    # From where the coarse stage stands now: it is allowed to miss by more than a pixel.
    yield Msg("prepare", stxm.scanner, place().raster, group="prepare")
    yield Msg("wait", None, group="prepare")
    yield Msg("checkpoint")


def _go_to(stxm: Microscope, energy: float) -> MsgGenerator[None]:
    """Move the energy; a pause replays this from its checkpoint."""
    yield Msg("checkpoint")
    yield Msg("set", stxm.energy, energy, group="energy")
    yield Msg("wait", None, group="energy")


def _arrive(stxm: Microscope, energy: float | None) -> MsgGenerator[None]:
    """Wait for the energy, and ask for it again where a pause or an outage lost it."""
    yield Msg("wait", None, group="energy")
    if energy is not None and not stxm.energy.at(energy):
        yield from _go_to(stxm, energy)


def _send(stxm: Microscope, energy: float) -> MsgGenerator[None]:
    yield Msg("set", stxm.energy, energy, group="energy")


def _image(
    stxm: Microscope, stream: LineStream, name: str, frame: Frame, following: Frame | None
) -> MsgGenerator[None]:
    """Fly one image at the present energy, and go to the one that follows.

    Messages are yielded bare: ``@plan`` stubs would cost more than the work. The last lines are
    collected, and so validated, shown and written, while the energy moves already.

    From ``kickoff`` to ``complete`` the scanner itself goes on where a pause halted it, and
    tells the RunEngine to replay nothing: a collect that was replayed would number its lines
    twice. So a move that a pause stopped in that time is asked for again.
    """
    scanner = stxm.scanner
    energy = None if following is None else following.energy
    yield Msg("kickoff", stream, group="kickoff")
    yield Msg("wait", None, group="kickoff")
    while True:
        yield Msg("trigger", scanner, group="lines")
        yield Msg("wait", None, group="lines")
        if scanner.flown:
            break
        yield Msg("collect", stream, name=name, return_payload=False)
        yield Msg("checkpoint")
    if energy is not None and energy != frame.energy:
        yield from outlasting(partial(_send, stxm, energy), stxm)
    yield Msg("collect", stream, name=name, return_payload=False)
    yield Msg("checkpoint")
    yield Msg("complete", stream, group="energy")
    yield Msg("checkpoint")
    yield from outlasting(partial(_arrive, stxm, energy), stxm)
