"""A ramp, a soak that counts time in band only, and the way down: one run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...documents import (
    CONTRACT_VERSION,
    HEATING,
    HEATING_RESERVED,
    PHASE_KEYS,
    SOAK_KEYS,
    SOAK_STREAM,
    STREAM,
    check_metadata,
    soak_key,
)
from ...inputs import as_number
from .._events import event
from .._inputs import check_device, check_settable
from .._lookup import lookup
from .._outage import outlasting
from .._pauses import Pauses, uninterrupted
from .._protocols import Heater
from .._public import Bounds, OneOf, plan
from .._run import in_run
from .._safety import SafetyStep, close, cooled, explained, made_safe, shielded
from ._heating import THEN, Heating
from ._monitored import monitored
from ._progress import HeatProgress

__all__ = ["heated", "ramp_and_soak"]

log = logging.getLogger("redoxscope.plans")


@plan
def ramp_and_soak(
    heater: Heater,
    target: Annotated[float, Bounds("degC")],
    *,
    rate: Annotated[float | None, Bounds("degC/min", above=0)] = None,
    soak: Annotated[float, Bounds("s", at_least=0)] = 0.0,
    timeout: Annotated[float | None, Bounds("s", above=0)] = None,
    then: Annotated[str, OneOf(THEN)] = "cool",
    cool_to: Annotated[float | None, Bounds("degC")] = None,
    cool_rate: Annotated[float | None, Bounds("degC/min", above=0)] = None,
    shutter: Movable | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Heat a sample, hold it in band for a time, and cool it: one run with T(t) as a stream.

    The soak clock counts only time in band, and the run's stream ``soak`` says what it left out.
    The stream ``primary`` has an event for each phase: begun, reached, soaked, cooled.

    Parameters
    ----------
    heater : redoxscope.devices.HeatingStage
        Stage that holds the sample.
    target : float
        Temperature (degC).
    rate : float, optional
        Of the ramp (degC/min); by default as the stage is set. It stays what it was set to.
    soak : float
        Time in band (s).
    timeout : float, optional
        Longest time (s) for the soak, with all that is left out of it.
    then : str
        ``"cool"``: down to ``cool_to``, and the output off. ``"hold"``: the sample stays at the
        target for what follows; whatever else ends the plan cools it all the same.
    cool_to : float, optional
        Temperature (degC); by default the stage's safe one.
    cool_rate : float, optional
        Of the way down (degC/min); by default ``rate``.
    shutter : Movable, optional
        Closed before the ramp; by default what lets beam onto the sample of the session's
        instruments.
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
        A temperature beyond the stage, kelvin for degC, no rate, or a time-out shorter than the
        soak; when the plan is called, before anything is heated.
    redoxscope.devices.DeviceError
        The stage did not get there, fell out of band for too long, or its sensor failed.

    Notes
    -----
    Whatever ends the plan, the stage ramps down to its safe temperature and switches its output
    off, also after ``RE.halt()``; where the client is dead, the stage's own dead man does it. A
    pause holds a ramp where it is, and a soak goes on: the sample is hot all the same.
    """
    check_device("heater", heater, Heater, "HeatingStage")
    if shutter is not None:
        check_settable("shutter", shutter)
    asked = Heating.asked_for(
        heater, target, rate=rate, soak=soak, timeout=timeout, then=then, cool_to=cool_to,
        cool_rate=cool_rate,
    )  # fmt: skip
    return explained(heated(heater, asked, shutter, check_metadata(md, HEATING_RESERVED)))


class _Phase:
    """Which phase an event is of, and when, by the heater's clock."""

    name = "heating"
    parent = None

    def __init__(self, clock: Any) -> None:
        self._clock, self._begun = clock, clock.now()
        self.values: dict[str, Any] = {}
        self.next("begin")

    def next(self, phase: str) -> None:
        point = self.values.get("point", -1) + 1
        elapsed = float(self._clock.now() - self._begun)
        self.values = {"point": point, "phase": phase, "elapsed": elapsed}

    def read(self) -> dict[str, Any]:
        now = time.time()
        return {key: {"value": value, "timestamp": now} for key, value in self.values.items()}

    def describe(self) -> dict[str, Any]:
        types = {"point": ("integer", "<i8"), "phase": ("string", "<U16")}
        return {key: _key(unit, *types.get(key, ())) for key, unit in PHASE_KEYS.items()}


def _key(unit: str | None, dtype: str = "number", numpy: str = "<f8") -> dict[str, Any]:
    key = {"dtype": dtype, "dtype_numpy": numpy, "shape": [], "source": "heating"}
    return {**key, "units": unit} if unit else key


class _Soak:
    """What the soak clock counted, also where a soak had to be asked for again."""

    parent = None

    def __init__(self, heater: Any) -> None:
        self.name = f"{heater.name}_soak"
        self._heater = heater
        self._begun = heater.clock.now()
        self._ended: list[Any] = []

    def ended(self) -> float:
        """A soak that was asked for is over; how long it was in band (s)."""
        self._ended.append(self._heater.soaked)
        return float(self._heater.soaked.in_band_s)

    def read(self) -> dict[str, Any]:
        parts = self._ended or [self._heater.soaked]
        in_band = sum(part.in_band_s for part in parts)
        left_out = sum(part.left_out_s for part in parts)
        if len(parts) > 1:  # and what was between them
            left_out = self._heater.clock.now() - self._begun - in_band
        values = {
            "in_band": in_band,
            "left_out": left_out,
            "longest_gap": max(part.longest_gap_s for part in parts),
            "min": min(part.min_c for part in parts),
            "max": max(part.max_c for part in parts),
            "overshoot": max(part.overshoot_c for part in parts),
        }
        now = time.time()
        name = self._heater.name
        return {
            soak_key(name, what): {"value": float(value), "timestamp": now}
            for what, value in values.items()
        }

    def describe(self) -> dict[str, Any]:
        return {soak_key(self._heater.name, what): _key(unit) for what, unit in SOAK_KEYS.items()}


@dataclass
class _Setup:
    heater: Any
    asked: Heating
    progress: HeatProgress
    phase: _Phase
    pauses: Pauses = field(default_factory=Pauses)


def heated(heater: Any, asked: Heating, shutter: Any, md: Mapping[str, Any]) -> MsgGenerator[str]:
    """The run, of what was checked."""
    if shutter is None:
        shutter = (yield from lookup()).shutter
    meant = {
        "plan_name": "ramp_and_soak",
        "contract_version": CONTRACT_VERSION,
        "detectors": [heater.name],
        "motors": [heater.name],
        "num_points": 2 + bool(asked.soak) + (asked.then == "cool"),
        "hints": {"dimensions": [(["elapsed"], STREAM)]},
        HEATING: asked.metadata(heater),
    }
    progress = HeatProgress(asked.phases(heater), heater)
    setup = _Setup(heater, asked, progress, _Phase(heater.clock))
    steps: list[SafetyStep] = [cooled(heater)]
    if shutter is not None:
        steps.append(close(shutter))

    def safe() -> MsgGenerator[None]:
        phases = _phases(setup, shutter)
        yield Msg("null", progress)  # the engine tells it of pauses
        try:
            yield from made_safe(phases, steps, always=asked.then == "cool")
        finally:
            progress.end()

    run = in_run(safe, meant, md, HEATING_RESERVED)
    return (yield from shielded(heater, run))


def _phases(setup: _Setup, shutter: Any) -> MsgGenerator[None]:
    heater, asked, pauses = setup.heater, setup.asked, setup.pauses
    yield Msg("checkpoint")
    yield from pauses.watch()
    if shutter is not None:
        yield from uninterrupted(lambda: bps.abs_set(shutter, "closed", wait=True), pauses)
    yield from monitored(heater)
    yield from bps.declare_stream(setup.phase, heater, name=STREAM)
    yield from event([setup.phase, heater], STREAM)
    if asked.rate is not None:
        yield from uninterrupted(lambda: bps.abs_set(heater.rate, asked.rate, wait=True), pauses)
    yield from _reached(setup, asked.target, 0)
    yield from _ended(setup, "reached")
    if asked.soak:
        soak = _Soak(heater)
        yield from bps.declare_stream(soak, name=SOAK_STREAM)
        try:
            yield from _soaked(setup, soak)
        except GeneratorExit:
            raise
        except BaseException:
            if heater.soaked is not None:  # what the sample had until then is data
                yield from event([soak], SOAK_STREAM)
            raise
        yield Msg("checkpoint")
        yield from event([soak], SOAK_STREAM)
        yield from _ended(setup, "soaked")
    if asked.then == "cool":
        down = asked.cool_rate or asked.rate
        if down is not None:
            yield from uninterrupted(lambda: bps.abs_set(heater.rate, down, wait=True), pauses)
        yield from _reached(setup, asked.cool_to, 2)
        yield from _ended(setup, "cooled")


def _ended(setup: _Setup, phase: str) -> MsgGenerator[None]:
    """The event of a phase that has come about; between checkpoints, to be there once."""
    yield Msg("checkpoint")
    setup.phase.next(phase)
    yield from event([setup.phase, setup.heater], STREAM)
    yield Msg("checkpoint")


def _reached(setup: _Setup, target: float, phase: int) -> MsgGenerator[None]:
    """The heater there, however often the plan is paused, or its controller is away, meanwhile."""
    device = _Way(setup) if phase == 2 and _to_safe(setup) else setup.heater

    def there() -> MsgGenerator[None]:
        status = yield Msg("set", device, target, group="heating")
        setup.progress.begin(phase, status)
        yield Msg("wait", None, group="heating")

    step: Callable[[], Any] = lambda: uninterrupted(there, setup.pauses)  # noqa: E731
    yield from outlasting(step, setup.heater)


def _soaked(setup: _Setup, soak: _Soak) -> MsgGenerator[None]:
    """In band for as long as was asked, however often the soak is ended before."""
    heater, pauses, rest = setup.heater, setup.pauses, setup.asked.soak
    while True:
        before, order = pauses.count, _Order(heater.soaking, setup.asked.timeout)
        done = False
        while not done:  # a pause breaks off the wait, while the soak goes on
            status = yield Msg("set", order, rest, group="soak")
            setup.progress.begin(1, status)
            yield Msg("wait", None, group="soak")
            if status is None:  # nobody carries the messages out
                return
            done = status.done
        rest -= soak.ended()
        if pauses.count == before or rest <= 0:
            return
        log.warning("%s: the soak was ended; %g s of it are still to come", heater.name, rest)
        yield from _reached(setup, setup.asked.target, 0)


def _to_safe(setup: _Setup) -> bool:
    """Whether the way down ends where the stage is safe, and off."""
    return setup.asked.cool_to == as_number("safe_temperature", setup.heater.safe_temperature)


class _Way:
    """The way down to where the stage is safe, which it knows itself.

    A stage that cools more slowly than its rate, or a room that is warmer than the safe
    temperature, is no failure of a soak that is over.
    """

    parent = None

    def __init__(self, setup: _Setup) -> None:
        self.name = f"{setup.heater.name}_cooling"
        self._heater, self._asked = setup.heater, setup.asked

    def set(self, target: float) -> Any:
        """Begin, or go on."""
        return self._heater.make_safe(success=True)

    def time_to(self, target: float, start: float | None = None) -> float:
        """How long it takes (s) at the rate that was asked for."""
        rate = self._asked.cool_rate or self._asked.rate
        return float(self._heater.time_to(target, start=self._asked.target, rate=rate))


class _Order:
    """A soak that is begun once, however often the RunEngine repeats the message."""

    parent = None

    def __init__(self, soaking: Any, timeout: float | None) -> None:
        self.name = soaking.name
        self._soaking = soaking
        self._longest = {} if timeout is None else {"timeout": timeout}
        self._status: Any = None

    def set(self, seconds: float) -> Any:
        """Begin, or go on."""
        if self._status is None:
            self._status = self._soaking.set(seconds, **self._longest)
        return self._status

    def time_to(self, seconds: float, start: float | None = None) -> float:
        """How long it takes (s), if all of it is in band."""
        return seconds
