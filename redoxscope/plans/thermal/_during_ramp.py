"""Measuring again and again while a sample is heated or cooled at a rate."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from ...documents import CONTRACT_VERSION, RAMP_KEYS, RAMP_RESERVED, STREAM, check_metadata
from .._events import event
from .._foretold import Foreseen, foretold
from .._inputs import check_device, check_settable
from .._outage import outlasting
from .._pauses import Pauses, uninterrupted
from .._protocols import Heater
from .._public import Bounds, OneOf, plan
from .._run import in_run
from .._safety import SafetyStep, close, cooled, explained, made_safe, named, shielded
from ._heating import THEN
from ._monitored import monitored
from ._ticks import DueTime, Ticks

__all__ = ["measure_during_ramp"]

log = logging.getLogger("redoxscope.plans")

RAMP, DUE, POINT = "ramp", "ramp due", "ramp point"
"""Groups of messages."""
LATE = 0.1
"""Share of the period from which a point is told as late."""


@plan
def measure_during_ramp(
    heater: Heater,
    start: Annotated[float, Bounds("degC")],
    stop: Annotated[float, Bounds("degC")],
    *,
    rate: Annotated[float, Bounds("degC/min", above=0)],
    detectors: Sequence[Readable],
    every: Annotated[float, Bounds("s", above=0)],
    shutter: Movable | None = None,
    then: Annotated[str, OneOf(THEN)] = "cool",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Heat at a rate, and measure at due times on the way: one run with T(t) as a stream.

    The heater goes to ``start`` and settles there. Then the ramp begins, and points are due at 0,
    ``every``, 2 ``every`` … seconds of the heater's clock; the last point is taken when ``stop``
    is reached. A due time does not depend on when another was met. Where the detectors take
    longer than ``every``, a point begins late, by less than ``every``; others are left out. Events
    say both: ``ramp_late`` (s) and ``ramp_missed``.

    Parameters
    ----------
    heater : redoxscope.devices.HeatingStage
        What the sample is heated with.
    start : float
        Temperature at which the ramp begins (degC).
    stop : float
        Temperature at which it ends (degC); it may be the lower one.
    rate : float
        Of the ramp (degC/min). The stage keeps it.
    detectors : sequence of Readable
        What is read at each point; what can be triggered is, all at once.
    every : float
        Time from one point to the next (s of the heater's clock).
    shutter : Movable, optional
        Opened for each point with ``"hold"``, and closed after it. Without it, nothing is done
        about the beam.
    then : str
        ``"cool"``: the stage ramps down to its safe temperature and switches its output off, which
        is not waited for. ``"hold"``: it stays at ``stop``.
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
        A temperature or rate beyond the stage, kelvin for degC, no detector, or one that is not
        connected; when the plan is called, before anything is heated.
    redoxscope.devices.DeviceError
        The stage did not follow, or its sensor failed.

    Notes
    -----
    Whatever ends the plan, the shutter is closed, and the stage is made safe unless all went well
    and ``then`` is ``"hold"``. A pause holds the ramp where it is; due times that pass meanwhile
    are left out. A point that a pause or a suspension broke off is measured again, and its
    ``ramp_tries`` is above 1.
    """
    check_device("heater", heater, Heater, "HeatingStage")
    if start == stop:
        raise ValueError(f"start and stop = {start:g} degC: a ramp needs two temperatures")
    for value in (start, stop):
        heater.check_value(value)
    heater.check_rate(rate)
    if then not in THEN:
        raise ValueError(f"then = {then!r} must be one of {', '.join(map(repr, THEN))}")
    if shutter is not None:
        check_settable("shutter", shutter)
    setup = _Setup(heater, start, stop, rate, _readable(detectors), every, shutter, then)
    return explained(_run(setup, check_metadata(md, RAMP_RESERVED)))


def _readable(detectors: Any) -> list[Any]:
    """The detectors, each of them able to be read and connected.

    Raises
    ------
    ValueError
        Names the one that is not.
    """
    if isinstance(detectors, (str, bytes)) or not isinstance(detectors, Sequence):
        raise ValueError(f"detectors = {detectors!r:.80} must be a list of devices, as [s.rga]")
    if not detectors:
        raise ValueError("detectors is empty: nothing would be measured")
    for number, device in enumerate(detectors):
        name = f"detectors[{number}]"
        shown = getattr(device, "name", device)
        if isinstance(device, type) or not all(
            callable(getattr(device, verb, None)) for verb in ("read", "describe")
        ):
            raise ValueError(f"{name} = {shown!r:.80} cannot be read: it is no detector")
        if callable(getattr(device, "kickoff", None)):
            raise ValueError(f"{name} = {shown!r} flies: it counts no point when it is triggered")
        if getattr(device, "connected", True) is False:
            raise ValueError(f"{name} = {shown!r} is not connected: {_silent(device)}")
    return list(detectors)


def _silent(device: Any) -> str:
    """Which of its PVs do not answer."""
    walk = getattr(device, "walk_signals", None)
    signals = [device] if walk is None else [item.item for item in walk()]
    lost = [signal for signal in signals if not signal.connected]
    names = [getattr(signal, "pvname", None) or signal.name for signal in lost]
    return f"{', '.join(names[:5]) or 'it'} does not answer"


class _Place:
    """Which point an event is of, and when and at what temperature it was taken."""

    name = "ramp"
    parent = None

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        now = time.time()
        return {key: {"value": self.values[key], "timestamp": now} for key in RAMP_KEYS}

    def describe(self) -> dict[str, Any]:
        whole = ("point", "ramp_missed", "ramp_tries")
        keys: dict[str, Any] = {}
        for name, unit in RAMP_KEYS.items():
            dtype = ("integer", "<i8") if name in whole else ("number", "<f8")
            keys[name] = {
                "dtype": dtype[0], "dtype_numpy": dtype[1], "shape": [], "source": "ramp",
            }  # fmt: skip
            if unit:
                keys[name]["units"] = unit
        return keys


@dataclass
class _Setup:
    """What is asked for, and where it stands."""

    heater: Any
    start: float
    stop: float
    rate: float
    detectors: list[Any]
    every: float
    shutter: Any
    then: str
    place: _Place = field(default_factory=_Place)
    pauses: Pauses = field(default_factory=Pauses)
    late: int = 0
    missed: int = 0
    points: int = 0
    worst: float = 0.0

    @property
    def read(self) -> list[Any]:
        return [self.place, self.heater, *(d for d in self.detectors if d is not self.heater)]

    @property
    def point_time(self) -> float:
        """Time (s) of a point, as far as the detectors say."""
        times = [float(d.point_time()) for d in self.detectors if hasattr(d, "point_time")]
        return max(times, default=0.0)

    def foreseen(self) -> Foreseen:
        """What it takes, by what the devices declare; NaN where one does not say."""
        heater, point = self.heater, self.point_time
        try:
            ramp = float(heater.time_to(self.stop, start=self.start, rate=self.rate))
            before = float(heater.time_to(self.start, rate=self.rate))
        except (ValueError, RuntimeError, TimeoutError):
            ramp = before = math.nan
        number, end = (0, 0.0) if math.isnan(ramp) else _points(ramp, self.every, point)
        total = before + max(ramp, end) + point
        return Foreseen(total, (number + 1) * point, ((heater, self.stop),))

    def metadata(self) -> dict[str, Any]:
        return {
            "plan_name": "measure_during_ramp",
            "contract_version": CONTRACT_VERSION,
            "detectors": [device.name for device in self.detectors],
            "motors": [self.heater.name],
            "hints": {"dimensions": [([self.heater.name], STREAM)]},
            "ramp": {
                "heater": self.heater.name,
                "start_c": self.start,
                "stop_c": self.stop,
                "rate": self.rate,
                "every_s": self.every,
                "then": self.then,
            },
        }

    def note(self, late: float, missed: int) -> None:
        """Count a point; tell at once when the first is left out."""
        if missed and not self.missed:
            log.warning(
                "the point due at %g s is left out: it would have been more than %g s late",
                (self.place.values["point"] - missed) * self.every, self.every,
            )  # fmt: skip
        self.points, self.missed = self.points + 1, self.missed + missed
        self.late += late > LATE * self.every
        self.worst = max(self.worst, late)

    def tell(self) -> None:
        """Say at the end how it was."""
        if self.late or self.missed:
            log.warning(
                "%d of %d points of the ramp were late (by %.3g s at most), %d were left out",
                self.late, self.points, self.worst, self.missed,
            )  # fmt: skip


def _points(ramp: float, every: float, point: float) -> tuple[int, float]:
    """How many points are due, and not left out, during a ramp; when the last ends (all s)."""
    if point < every:
        number = math.ceil(ramp / every)
        return number, (number - 1) * every + point
    ticks, elapsed, number = Ticks(every), 0.0, 0
    while elapsed < ramp:
        ticks.skip(elapsed)
        elapsed = max(elapsed, ticks.due) + point
        ticks.measured()
        number += 1
    return number, elapsed


def _run(setup: _Setup, md: Mapping[str, Any]) -> MsgGenerator[str]:
    heater, shutter = setup.heater, setup.shutter
    steps: list[SafetyStep] = [] if shutter is None else [close(shutter)]

    def safe() -> MsgGenerator[None]:
        hot = made_safe(_ramp(setup), [cooled(heater)], always=setup.then == "cool")
        return (yield from made_safe(hot, steps))

    used = [d for d in (shutter, *setup.detectors) if hasattr(d, "stage")]
    run = bpp.stage_wrapper(in_run(safe, setup.metadata(), md, RAMP_RESERVED), used)
    return (yield from shielded(heater, run))


def _ramp(setup: _Setup) -> MsgGenerator[None]:
    yield from monitored(setup.heater)
    if (yield from foretold(setup.heater, setup.foreseen())):
        return
    yield Msg("checkpoint")
    yield from setup.pauses.watch()
    # Before anything is heated: a detector that does not answer fails here.
    yield from bps.declare_stream(*setup.read, name=STREAM)
    yield from outlasting(lambda: _at_start(setup), setup.heater)
    try:
        yield from _points_of_ramp(setup)
    finally:
        setup.tell()


def _at_start(setup: _Setup) -> MsgGenerator[None]:
    def go() -> MsgGenerator[None]:
        yield Msg("checkpoint")
        yield Msg("set", setup.heater.rate, setup.rate, group=RAMP)
        yield Msg("wait", None, group=RAMP)
        yield Msg("set", setup.heater, setup.start, group=RAMP)
        yield Msg("wait", None, group=RAMP)

    return (yield from uninterrupted(go, setup.pauses))


def _points_of_ramp(setup: _Setup) -> MsgGenerator[None]:
    clock, ticks = setup.heater.clock, Ticks(setup.every)
    due = DueTime(clock, f"{setup.heater.name}_ramp_due")
    way = _Way(setup, due)
    begun = clock.now()
    yield from way.asked()
    while way.status is not None:
        while clock.now() - begun < ticks.due and not way.over:
            yield Msg("checkpoint")
            yield Msg("set", due, begun + ticks.due, group=DUE)
            yield Msg("wait", None, group=DUE)
            yield from way.asked()
        if way.over:
            break
        ticks.skip(clock.now() - begun)
        yield from _point(setup, ticks, begun)
        yield from way.asked()
    # The last, where it arrived: due when it did.
    yield from _point(setup, ticks, begun, last=True)
    yield Msg("wait", None, group=RAMP)


class _Way:
    """The ramp under way: asked for again after each pause, which may have broken it off."""

    def __init__(self, setup: _Setup, due: DueTime) -> None:
        self._setup, self._due = setup, due
        self._seen: int | None = None
        self.status: Any = None

    @property
    def over(self) -> bool:
        """Whether the heater is where it was sent, and nothing came between."""
        return self.status is None or (self.status.done and self._seen == self._setup.pauses.count)

    def asked(self) -> MsgGenerator[None]:
        """Ask for the ramp, where a pause came since."""
        setup = self._setup
        if self._seen == setup.pauses.count:
            if self.status is not None and self.status.done:
                failed = self.status.exception(timeout=0)
                if failed is not None:
                    raise named(failed)
            return
        while self._seen != setup.pauses.count:
            self._seen = setup.pauses.count
            yield Msg("checkpoint")
            self.status = yield Msg("set", setup.heater, setup.stop, group=RAMP)
            yield Msg("checkpoint")
        if self.status is not None:
            self.status.add_callback(lambda _: self._due.wake())


def _point(setup: _Setup, ticks: Ticks, begun: float, *, last: bool = False) -> MsgGenerator[None]:
    """Measure one point, all of it again until no pause came between, and write its event."""
    clock, heater = setup.heater.clock, setup.heater
    tries, from_c, elapsed = 0, math.nan, 0.0

    def step() -> MsgGenerator[None]:
        nonlocal tries, from_c, elapsed
        tries += 1
        yield Msg("checkpoint")
        if setup.shutter is not None:
            yield Msg("set", setup.shutter, "hold", group="shutter")
            yield Msg("wait", None, group="shutter")
        elapsed, from_c = clock.now() - begun, float(heater.temperature.get())
        for device in setup.detectors:
            if callable(getattr(device, "trigger", None)):
                yield Msg("trigger", device, group=POINT)
        yield Msg("wait", None, group=POINT)
        if setup.shutter is not None:
            yield Msg("set", setup.shutter, "closed", group="shutter")
            yield Msg("wait", None, group="shutter")

    able = [d for d in setup.read if callable(getattr(d, "back_after", None))]
    yield from outlasting(lambda: uninterrupted(step, setup.pauses), *able)
    due = elapsed if last else ticks.due
    setup.place.values = {
        "point": ticks.number,
        "ramp_due": due,
        "ramp_elapsed": elapsed,
        "ramp_late": elapsed - due,
        "ramp_missed": ticks.missed,
        "ramp_tries": tries,
        "ramp_from": from_c,
        "ramp_to": float(heater.temperature.get()),
    }
    yield from event(setup.read, STREAM)
    yield Msg("checkpoint")
    setup.note(elapsed - due, ticks.missed)
    ticks.measured()
