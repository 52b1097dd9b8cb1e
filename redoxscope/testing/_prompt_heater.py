"""A heating stage that is only remembered, with a clock that goes on when it is told to.

For plans, message by message; `FakeHeater` is the real device, for how it behaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ophyd.status import Status

from ._fake_parts import FakeSetting, number_key, settled

__all__ = ["FakeClock", "FakeSoaked", "PromptHeater"]


class FakeClock:
    """Time (s) of a beamline that passes by ``advance`` only."""

    def __init__(self, time: float = 0.0) -> None:
        self.time = time

    def now(self) -> float:
        """The time (s)."""
        return self.time

    def here(self, seconds: float) -> float:
        """How long (s) so many seconds take here."""
        return seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds


@dataclass(frozen=True)
class FakeSoaked:
    """What a soak clock counted."""

    in_band_s: float
    left_out_s: float = 0.0
    longest_gap_s: float = 0.0
    min_c: float = 99.8
    max_c: float = 100.3
    overshoot_c: float = 0.3


class FakeSignal(FakeSetting):
    """A setting that tells its subscribers at once, in the thread that sets it."""

    def __init__(self, name: str, value: Any, unit: str = "") -> None:
        super().__init__(name, value)
        self._unit = unit
        self._heard: list[Callable[..., Any]] = []

    def subscribe(self, heard: Callable[..., Any], **_: Any) -> None:
        """Tell of each value, the present one too."""
        self._heard.append(heard)
        heard(value=self.value)

    def clear_sub(self, heard: Callable[..., Any]) -> None:
        """Tell no more."""
        self._heard = [each for each in self._heard if each != heard]

    def put(self, value: Any) -> None:
        """Have a value."""
        self.value = value
        for heard in list(self._heard):
            heard(value=value)

    def set(self, value: Any) -> Status:
        """Have a value."""
        self.put(value)
        return settled()

    def describe(self) -> dict[str, Any]:
        """Its data key."""
        return {self.name: number_key(self._unit)}


class PromptHeater:
    """A heating stage (degC) on which the plans of heating run in no time.

    As a real one: what the RunEngine stops at a pause, or at the end, is held; a pause is none of
    the sample, so a soak goes on; ``make_safe`` is undone by nothing but ``set``.

    Parameters
    ----------
    name : str
    clock : FakeClock, optional
    prompt : bool
        It arrives and has soaked at once, while the clock goes on as long as that takes; or when
        ``arrive`` and ``finish_soak`` are called.

    Attributes
    ----------
    told : list of tuple
        Orders that change something: ``("set", 100.0)``, ``("soak", 18000.0)``, ``("safe",)``.
    trouble : dict of str to Exception
        What the next order of that name (``"set"``, ``"soak"``, ``"safe"``) fails with.
    """

    parent = None
    connected = True
    limits = (20.0, 600.0)
    tolerance, settle_s, safe_temperature = 1.0, 60.0, 25.0

    def __init__(
        self, name: str = "heater", clock: FakeClock | None = None, *, prompt: bool = True
    ) -> None:
        self.name, self.prompt = name, prompt
        self.clock = clock or FakeClock()
        self.temperature = FakeSignal(name, 22.0, "degC")
        self.setpoint = FakeSignal(f"{name}_setpoint", 22.0, "degC")
        self.rate = FakeSignal(f"{name}_rate", 10.0, "degC/min")
        self.output = FakeSignal(f"{name}_output", 0.0, "%")
        self.soaking = _Soaking(self)
        self.soaked: FakeSoaked | None = None
        self.told: list[tuple[Any, ...]] = []
        self.trouble: dict[str, Exception] = {}
        self.safe = True
        self._moves: list[Status] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def position(self) -> float:
        """Temperature (degC)."""
        return float(self.temperature.value)

    @property
    def in_band(self) -> bool:
        """Whether it is at the set point."""
        return abs(self.position - self.setpoint.value) <= self.tolerance

    def check_value(self, value: float) -> None:
        """Refuse what is outside the limits.

        Raises
        ------
        ValueError
        """
        low, high = self.limits
        if not low <= value <= high:
            raise ValueError(f"{self.name} = {value:g} degC is outside {low:g} to {high:g} degC")

    def check_rate(self, rate: float) -> None:
        """Refuse what is no rate.

        Raises
        ------
        ValueError
        """
        if not 0 < rate <= 100:
            raise ValueError(
                f"{self.name}.rate = {rate:g} degC/min must be above 0 and at most 100"
            )

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float:
        """Time (s) of a ramp, and of settling."""
        way = abs(target - (self.position if start is None else start))
        return 60.0 * way / float(rate or self.rate.value) + self.settle_s

    def order(self, what: str, *values: Any) -> Exception | None:
        """Note an order; what it fails with."""
        self.told.append((what, *values))
        return self.trouble.pop(what, None)

    def set(self, value: float) -> Status:
        """Go there."""
        self.check_value(value)
        status = Status(obj=self)
        error = self.order("set", value)
        if error is not None:
            status.set_exception(error)
            return status
        self.safe = False
        self.setpoint.put(value)
        self._moves.append(status)
        if self.prompt:
            self.arrive()
        return status

    def soak(self, seconds: float, timeout: float | None = None) -> Status:
        """Stay there for so long (s)."""
        return self.soaking.set(seconds, timeout)

    def arrive(self) -> None:
        """End what it was set to, well."""
        moves, self._moves = self._moves, []
        if moves:
            self.clock.advance(self.time_to(self.setpoint.value))
            self.temperature.put(self.setpoint.value)
        for status in moves:
            status.set_finished()

    def finish_soak(self) -> None:
        """End the soak, well."""
        self.soaking.finish()

    def stop(self, *, success: bool = False) -> None:
        """Hold: nothing is ended, and nothing that was made safe is undone."""

    def pause(self) -> None:
        """Nothing: the sample is hot all the same."""

    def resume(self) -> None:
        """Nothing."""

    def make_safe(self, *, success: bool = False) -> Status:
        """Ramp down and switch off; the status is done, and so is its ``ordered``."""
        error = self.order("safe")
        status: Any = Status(obj=self)
        status.ordered = Status(obj=self)
        for part in (status, status.ordered):
            end(part, error)
        if error is not None:
            return status
        self.safe = True
        self.setpoint.put(self.safe_temperature)
        if self.temperature.get() != self.safe_temperature:  # a PV tells of changes
            self.temperature.put(self.safe_temperature)
        ended = None if success else RuntimeError(f"{self.name} was made safe")
        moves, self._moves = self._moves, []
        for move in moves:
            end(move, ended)
        self.soaking.end(ended)
        return status

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""

    def read(self) -> dict[str, Any]:
        """Temperature and set point (degC)."""
        return {**self.temperature.read(), **self.setpoint.read()}

    def describe(self) -> dict[str, Any]:
        """Their data keys."""
        return {**self.temperature.describe(), **self.setpoint.describe()}

    def read_configuration(self) -> dict[str, Any]:
        """The rate (degC/min)."""
        return self.rate.read()

    def describe_configuration(self) -> dict[str, Any]:
        """Its data key."""
        return self.rate.describe()


def end(status: Status, error: Exception | None) -> None:
    """End a status with an error, or without."""
    if error is None:
        status.set_finished()
    else:
        status.set_exception(error)


class _Soaking:
    """Set to a time (s): done when the sample was in band for so long."""

    def __init__(self, heater: PromptHeater) -> None:
        self.name, self.parent = f"{heater.name}_soaking", None
        self._heater = heater
        self._status: Status | None = None
        self._seconds = 0.0

    def __repr__(self) -> str:
        return self.name

    def time_to(self, seconds: float, start: float | None = None) -> float:
        """The time (s) itself."""
        return seconds

    def set(self, seconds: float, timeout: float | None = None) -> Status:
        """Soak, in ``timeout`` at most (s); the same again goes on."""
        if self._status is not None and not self._status.done and seconds == self._seconds:
            return self._status
        self._status, self._seconds = Status(obj=self), seconds
        status = self._status
        error = self._heater.order("soak", seconds)
        if error is not None:
            self._heater.soaked = FakeSoaked(seconds / 2, left_out_s=60.0, longest_gap_s=60.0)
            status.set_exception(error)
        else:
            self._heater.soaked = FakeSoaked(0.0)
            if self._heater.prompt:
                self.finish()
        return status

    def finish(self) -> None:
        """Have soaked."""
        if self._status is not None and not self._status.done:
            self._heater.clock.advance(self._seconds)
            self._heater.soaked = FakeSoaked(self._seconds)
            self._status.set_finished()

    def end(self, error: Exception | None) -> None:
        """Break it off."""
        if self._status is not None and not self._status.done:
            end(self._status, error)

    def stop(self, *, success: bool = False) -> None:
        """Nothing: it goes on."""
