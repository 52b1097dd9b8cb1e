"""Exposures of a frames detector at many places, one event each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator, RunEngineControlException

from ..data import get_edge
from ..documents import CONTRACT_VERSION, FRAMES_STREAM, STREAM, check_metadata
from ..scan import Exposures, Role, Scan, as_scan
from ._detectors import FramesDetector
from ._edge import at_edge
from ._events import event
from ._exposed_time import exposures_time
from ._foretold import foretold
from ._inputs import check_axes, check_device, check_settable
from ._pauses import Pauses
from ._public import plan
from ._run import in_run
from ._safety import SafetyStep, close, cooled, halt, heaters, kept_safe, made_safe, named

__all__ = ["EXPOSE_RESERVED", "expose", "exposed"]

log = logging.getLogger("redoxscope.plans")

EXPOSE_RESERVED = (
    "uid", "time", "plan_name", "contract_version", "scan", "edge", "detectors", "motors", "hints",
    "num_points",
)  # fmt: skip
"""Keys of the start document that only the plan may write."""

ANNOUNCED = 20
"""Exposures between two announcements of frames."""


@plan
def expose(
    detector: FramesDetector,
    scan: Scan | Mapping[str, Any] | str,
    x: Movable,
    y: Movable,
    energy: Movable,
    *,
    shutter: Movable | None = None,
    axes: Mapping[str, Movable] | None = None,
    also: Sequence[Readable] = (),
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take a frame at each position of a scan of exposures, one event per exposure.

    An event names its exposure (``exposure``: index in the scan's exposures, ``point``: of the
    position in it) and its frame (``<detector>_frame``: row in the stream ``frames``). So frames
    belong to positions by index: one that was taken twice, after a pause, shifts nothing.

    Parameters
    ----------
    detector : FramesDetector
        Area detector that writes its frames to a file.
    scan : Scan, mapping or str
        A scan of exposures, its dictionary, JSON text, or the path of a ``.json`` file.
    x, y : Movable
        Stages that take the positions (µm).
    energy : Movable
        Photon energy (eV).
    shutter : Movable, optional
        Opened with ``"hold"`` for each exposure, when everything stands, and closed for those of
        the role *dark*; closed at the end, and by its dead man where nobody asks again.
    axes : mapping of str to Movable, optional
        What is set for the scan's outer loops, by their names. A heater is made safe, whatever ends
        the plan.
    also : sequence of Readable, optional
        What is read with each exposure, e.g. the ring current; counters are triggered with it.
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
        No scan of exposures, an outer loop without its axis, something that is no such device,
        an exposure that the detector cannot take, or an energy or position that a device refuses.
        Raised when the plan is called, or before its first message.
    RuntimeError
        The detector gave no frame although it was triggered.

    Notes
    -----
    A pause stops the stages, breaks off the exposure and closes the shutter. After it all of the
    exposure is asked for again, whether the RunEngine repeats messages or not.
    """
    return exposed(detector, scan, x, y, energy, shutter=shutter, axes=axes, also=also, md=md)


def exposed(
    detector: Any,
    scan: Any,
    x: Any,
    y: Any,
    energy: Any,
    *,
    shutter: Any = None,
    axes: Mapping[str, Any] | None = None,
    also: Sequence[Any] = (),
    md: Mapping[str, Any] | None = None,
    plan_name: str = "expose",
    meant: Mapping[str, Any] | None = None,
    around: Callable[[MsgGenerator[None]], MsgGenerator[None]] | None = None,
) -> MsgGenerator[str]:
    """Do what `expose` says, for a plan that is made of it.

    Parameters
    ----------
    plan_name : str
        For the start document.
    meant : mapping, optional
        The plan's own keys of the start document, which nobody else may write.
    around : callable, optional
        Gets the exposures as a plan, which ends with all closed and halted, and gives what is done
        in the run.
    """
    check_device("detector", detector, FramesDetector, "FramesDetector")
    found = as_scan(scan)
    if found.kind != "exposures":
        raise ValueError(f"scan is one of {found.kind}; expose takes exposures")
    for i, part in enumerate(found.exposures):
        if len(part.times) > 1:
            raise ValueError(
                f"exposures[{i}] has {len(part.times)} times at each place; {plan_name} takes one "
                "frame there, ptychography takes several"
            )
    if found.edge is not None:
        get_edge(found.edge)
        if _mono(energy) is None:
            raise ValueError(
                f"the scan is at the {found.edge} edge, whose offset {_named(energy)} does not know"
            )
    dark = [i for i, part in enumerate(found.exposures) if part.role is Role.DARK]
    if dark and shutter is None:
        raise ValueError(f"exposures[{dark[0]}] has the role 'dark': give the shutter to close")
    for name, device in {"x": x, "y": y, "energy": energy}.items():
        check_settable(name, device)
    if shutter is not None:
        check_settable("shutter", shutter)
    loops = list(check_axes(found, axes).values())
    own = dict(meant or {})
    setup = _Setup(detector, found, x, y, energy, shutter, loops, list(also), plan_name, own)
    reserved = (*EXPOSE_RESERVED, *own)
    return _run(setup, check_metadata(md, reserved), reserved, around)


def _mono(energy: Any) -> Any:
    """What knows the energy offset of an edge: the axis, or its monochromator; None: nothing."""
    mono = energy if hasattr(energy, "edge") else getattr(energy, "monochromator", None)
    return mono if hasattr(mono, "edge") else None


def _named(device: Any) -> str:
    return str(getattr(device, "name", device))


class _Place:
    """Which exposure an event is of."""

    name = "scan"
    parent = None

    def __init__(self) -> None:
        self.values = {"exposure": 0, "point": 0}

    def read(self) -> dict[str, Any]:
        now = time.time()
        return {key: {"value": value, "timestamp": now} for key, value in self.values.items()}

    def describe(self) -> dict[str, Any]:
        key = {"dtype": "integer", "dtype_numpy": "<i8", "shape": [], "source": "scan"}
        return {name: dict(key) for name in self.values}


@dataclass
class _Setup:
    """The devices of a run, and what they were asked for last."""

    detector: Any
    scan: Scan
    x: Any
    y: Any
    energy: Any
    shutter: Any
    loops: list[Any]
    also: list[Any]
    plan_name: str
    own: dict[str, Any]
    place: _Place = field(default_factory=_Place)
    pauses: Pauses = field(default_factory=Pauses)
    reached: dict[str, tuple[float, int]] = field(default_factory=dict)

    def check(self) -> None:
        """Whatever a device can refuse, before anything moves."""
        parts = self.scan.exposures
        mono = _mono(self.energy)
        if mono is not None:
            offset = mono.offset_at(self.scan.edge)
            for value in self.scan.all_energies:
                mono.check_value(value, offset=offset)
        wanted: list[tuple[Any, list[float]]] = [
            (self.energy, [] if self.energy is mono else self.scan.all_energies),
            (self.x, [x for part in parts for x, _ in part.positions]),
            (self.y, [y for part in parts for _, y in part.positions]),
            *((axis, [part.outer[i] for part in parts]) for i, axis in enumerate(self.loops)),
        ]
        for device, values in wanted:
            if hasattr(device, "check_value"):
                for value in dict.fromkeys(values):
                    device.check_value(value)
        self.detector.check_exposures(parts)
        if hasattr(self.shutter, "check_free"):
            self.shutter.check_free()
            longest = max(max(part.times) for part in parts)
            self.shutter.check_open_time(longest, f"an exposure of {self.detector.name}")

    def wanted(self, part: Exposures, x: float, y: float) -> dict[str, tuple[Any, float]]:
        """What has to be where for an exposure; positions in µm."""
        loops = {f"outer {i}": (axis, part.outer[i]) for i, axis in enumerate(self.loops)}
        return {
            "dwell": (self.detector.dwell, part.times[0]),
            "energy": (self.energy, part.energy),
            **loops,
            "x": (self.x, x),
            "y": (self.y, y),
        }

    def each(self) -> Iterator[tuple[Exposures, dict[str, tuple[Any, float]]]]:
        """For each exposure what it is, and what has to be where."""
        for part in self.scan.exposures:
            for x, y in part.positions:
                yield part, self.wanted(part, x, y)

    @property
    def read(self) -> list[Any]:
        return [self.place, self.detector, self.x, self.y, self.energy, *self.loops, *self.also]

    def metadata(self) -> dict[str, Any]:
        motors = [_named(device) for device in (self.energy, self.x, self.y)]
        return {
            **self.own,
            "plan_name": self.plan_name,
            "contract_version": CONTRACT_VERSION,
            "scan": self.scan.as_dict(),
            "edge": self.scan.edge,
            "detectors": [self.detector.name],
            "motors": motors,
            "num_points": self.scan.events,
            "hints": {"dimensions": [([name], STREAM) for name in motors]},
        }


def _run(
    setup: _Setup,
    md: Mapping[str, Any],
    reserved: Sequence[str],
    around: Callable[[MsgGenerator[None]], MsgGenerator[None]] | None,
) -> MsgGenerator[str]:
    setup.check()
    detector, shutter = setup.detector, setup.shutter
    steps: list[SafetyStep] = [halt(detector)] + ([] if shutter is None else [close(shutter)])
    hot = heaters(setup.loops)
    steps += map(cooled, hot)

    def safe() -> MsgGenerator[None]:
        inner = made_safe(_exposures(setup), steps)
        yield from inner if around is None else around(inner)

    used = [device for device in (shutter, detector) if hasattr(device, "stage")]
    whole = bpp.stage_wrapper(in_run(safe, setup.metadata(), md, reserved), used)
    mono = _mono(setup.energy)
    if mono is not None:
        whole = at_edge(mono, setup.scan.edge, whole)
    return (yield from kept_safe(hot, whole))


def _exposures(setup: _Setup) -> MsgGenerator[None]:
    takes = exposures_time(setup.detector, setup.each())
    if (yield from foretold(setup.detector, takes)):
        return
    yield Msg("checkpoint")
    yield from setup.pauses.watch()
    yield from bps.declare_stream(*setup.read, name=STREAM)
    yield from bps.declare_stream(setup.detector.images, name=FRAMES_STREAM, collect=True)
    done = 0
    try:
        for number, part in enumerate(setup.scan.exposures):
            for point in range(len(part.positions)):
                yield from _taken(setup, part, point)
                setup.place.values = {"exposure": number, "point": point}
                yield from event(setup.read, STREAM)
                done += 1
                if done % ANNOUNCED == 0:
                    yield from _announced(setup)
        yield from _announced(setup)
    except GeneratorExit:
        raise
    except BaseException:
        # Frames that were taken before it went wrong are data.
        yield from _collected(setup)
        raise


def _collected(setup: _Setup) -> MsgGenerator[None]:
    yield Msg("collect", setup.detector.images, name=FRAMES_STREAM, return_payload=False)


def _announced(setup: _Setup) -> MsgGenerator[None]:
    """Announce the frames that came; between checkpoints, for a replay counts rows twice."""
    yield Msg("checkpoint")
    yield from _collected(setup)
    yield Msg("checkpoint")


def _taken(setup: _Setup, part: Exposures, point: int) -> MsgGenerator[None]:
    """Take one frame, and again, at most ``retries`` times, where that fails."""
    for left in reversed(range(1 + setup.scan.retries)):
        try:
            yield from _frame(setup, part, point)
        except RunEngineControlException:
            raise
        except Exception as exc:
            error = named(exc)
            if not left:
                raise
            setup.reached.clear()
            log.warning("%s; the exposure is taken again", error)
        else:
            return


def _frame(setup: _Setup, part: Exposures, point: int) -> MsgGenerator[None]:
    """One frame; all of it again until it came without a pause between.

    Messages are yielded bare: ``@plan`` stubs would cost more than the work. The shutter is asked
    when everything stands: a long move would outlast its dead man.
    """
    detector, pauses = setup.detector, setup.pauses
    before = detector.frames
    x, y = part.positions[point]
    while detector.frames == before:
        seen = pauses.count
        yield Msg("checkpoint")
        wanted = setup.wanted(part, x, y)
        for name, (device, value) in wanted.items():
            if setup.reached.get(name) != (value, seen):
                yield Msg("set", device, value, group="positions")
        yield Msg("wait", None, group="positions")
        if pauses.count == seen:
            setup.reached = {name: (value, seen) for name, (_, value) in wanted.items()}
        if setup.shutter is not None:
            wish = "closed" if part.role is Role.DARK else "hold"
            yield Msg("set", setup.shutter, wish, group="shutter")
            yield Msg("wait", None, group="shutter")
        if pauses.count != seen:  # it stopped what moved, and closed the shutter
            continue
        status = yield Msg("trigger", detector, group="exposure")
        for device in setup.also:
            if hasattr(device, "trigger"):
                yield Msg("trigger", device, group="exposure")
        yield Msg("wait", None, group="exposure")
        if status is None:  # nobody carries the messages out
            return
        if detector.frames == before and pauses.count == seen:
            raise RuntimeError(f"{detector.name} gave no frame although it was triggered")
