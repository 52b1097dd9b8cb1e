"""What a heating stage has, and what it may be asked for."""

from __future__ import annotations

import logging
import math
from typing import Any

from ophyd import Component as Cpt
from ophyd import Signal
from ophyd.status import Status
from ophyd.utils import LimitError

from ...inputs import as_number
from .._base import BeamlineDevice, DeviceError, NoAnswerError, answering, ask
from .._numbers import number, positive
from .._positioner import Positioner, common_limits
from .._setting import Setting
from ._clock import HeaterClock
from ._controller import INVALID
from ._guard import HeaterGuard
from ._lakeshore import Lakeshore336
from ._settled import Band
from ._signals import Celsius, Output, Rate
from ._units import celsius, kelvin_hint, round_in_kelvin, unit_of

__all__ = ["LimitedStage"]

log = logging.getLogger("redoxscope.heater")

LATE = 30.0
"""How long (s, here) a busy machine may hold up a simulation that runs faster: its margin is more
by so much of its own time."""


class LimitedStage(Positioner, BeamlineDevice):
    """What a heating stage has, and what it may be asked for; it writes nothing.

    Its parameters are those of `HeatingStage`.
    """

    controller: Any = Cpt(Lakeshore336, "", kind="config", doc="its PVs")
    guard: Any = Cpt(HeaterGuard, "", kind="config", doc="outside this client")
    temperature: Any = Cpt(Celsius, part="reading", kind="hinted", doc="degC")
    setpoint: Any = Cpt(Celsius, part="demand", kind="normal", doc="that the controller has, degC")
    output: Any = Cpt(Output, part="output", kind="normal", doc="%")
    rate = Cpt(Rate, value=2.0, kind="config", doc="of the next ramp, degC/min")
    tolerance = Cpt(
        Setting, value=1.0, check=positive, unit="degC", kind="config", doc="half of the band"
    )
    settle_s = Cpt(Setting, value=60.0, check=positive, unit="s", kind="config", doc="in band")
    slope_limit = Cpt(
        Setting, value=0.5, check=positive, unit="degC/min", kind="config", doc="largest then"
    )

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        low: float = math.nan,
        high: float = math.nan,
        rate: float = 2.0,
        max_rate: float = 10.0,
        tolerance: float = 1.0,
        settle: float = 60.0,
        slope_limit: float = 0.5,
        safe_temperature: float = 25.0,
        margin: float = 600.0,
        time_scale: float = 1.0,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"motors"})
        self.clock = HeaterClock(time_scale)
        self.max_rate = as_number(f"{name}.max_rate", max_rate, "degC/min", above=0)
        self.safe_temperature = as_number(f"{name}.safe_temperature", safe_temperature, "degC")
        self.margin_s = as_number(f"{name}.margin", margin, "s", at_least=0)
        self.margin_s += LATE * max(self.clock.scale - 1.0, 0.0)
        self._low, self._high = number(f"{name}.low", low), number(f"{name}.high", high)
        super().__init__(prefix, name=name, **kwargs)
        self.temperature.name = name
        self.rate.put(rate)
        self.tolerance.put(tolerance)
        self.settle_s.put(settle)
        self.slope_limit.put(slope_limit)

    @property
    def label(self) -> str:
        """Name, and where its PVs begin, for messages."""
        return f"{self.name} ({self.prefix})" if self.prefix else str(self.name)

    @property
    def egu(self) -> str:
        """Unit of the temperature."""
        return "degC"

    @property
    def poll_s(self) -> float:
        """How often (s, here) the controller is asked where no reading comes."""
        return min(max(self.clock.here(float(self.settle_s.get()) / 10), 0.05), 1.0)

    def band(self, target: float) -> Band:
        """What *reached* means, at a temperature (degC)."""
        return Band(
            target,
            float(self.tolerance.get()),
            float(self.settle_s.get()),
            float(self.slope_limit.get()),
            gap_s=max(10.0, 5.0 * self.clock.scale),
        )

    def celsius(self, raw: Any, signal: Any = None) -> float:
        """What the sensor's PV says in degC; NaN where it says that this means nothing."""
        source = self.controller.reading if signal is None else signal.derived_from
        if source.metadata.get("severity") == INVALID:
            return math.nan
        return float(self.temperature.inverse(raw) if signal is None else signal.inverse(raw))

    @property
    def position(self) -> float:
        """Temperature by the last monitor (degC); NaN where the sensor gives none, or no answer."""
        if not self.controller.connected:
            return math.nan
        return self.celsius(self.controller.reading.get())

    def here(self) -> float:
        """Temperature, asked from the server now (degC)."""
        return self.celsius(ask(self.controller.reading))

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest temperature (degC); NaN where nothing may be asked for."""
        own = (self._low, self._high)
        low, high = self.controller.demand.limits or (0.0, 0.0)
        if not (self.controller.demand.connected and low < high):  # 0, 0: it has none
            return common_limits(own)
        convert = self.controller.demand_celsius
        return common_limits(own, (convert(low), convert(high)))

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of parameters of plans, for who refuses before: degC and degC/min."""
        limits: dict[str, tuple[float, float]] = {}
        if self.limits[0] < self.limits[1]:
            limits = dict.fromkeys(("target", "temperature", "cool_to"), self.limits)
        return {**limits, **dict.fromkeys(("rate", "cool_rate"), (0.0, self.max_rate))}

    def check_rate(self, rate: Any) -> float:
        """Refuse a rate (degC/min) that cannot be, or is too fast for the stage.

        Raises
        ------
        ValueError
        """
        return as_number(f"{self.name}.rate", rate, "degC/min", above=0, at_most=self.max_rate)

    @property
    def user_offset(self) -> Signal:
        """Always 0 degC; bluesky's ``%wa`` has a column for it."""
        return Signal(name=f"{self.name}_user_offset", value=0.0)

    def check_value(self, temperature: Any, *, unit: str | None = None) -> None:
        """Refuse a temperature that may not be heated to; nothing is heated.

        Parameters
        ----------
        temperature : float
            degC, or in ``unit``.
        unit : str, optional
            ``"degC"`` or ``"K"``.

        Raises
        ------
        ophyd.utils.LimitError
            Outside the limits, or NaN; or a round temperature in kelvin, as 373, where no unit is
            given.
        ValueError
            No number, or no unit of temperatures.
        DeviceError
            The guard, the controller or the sensor would not have it.
        """
        target = self._in_celsius(temperature, unit)
        low, high = self.limits
        if not low < high:
            raise LimitError(
                f"{self.name} has no limits (low {low:g}, high {high:g} degC): give it those of "
                "the stage"
            )
        if not low <= target <= high:
            raise LimitError(
                f"{self.name} = {target:.6g} degC is outside its limits, {low:g} to {high:g} degC"
                f"{kelvin_hint(target, low, high)}"
            )
        meant = round_in_kelvin(target) if unit is None else None
        if meant is not None:
            raise LimitError(
                f"{self.name} = {target:.6g} degC is what {meant:g} degC is in K: give {meant:g}; "
                f"if {target:.6g} degC is meant, give {target + 0.01:.6g}, or unit='degC' to set()"
            )
        self.check_rate(self.rate.get())
        if not self.controller.connected:
            raise NoAnswerError(f"{self.label}: its PVs do not answer")
        self.controller.check_ready()
        if fault := self.controller.fault():
            raise DeviceError(f"{self.label}: {fault}")
        if self.guard is not None:
            self.guard.check(target + float(self.tolerance.get()))
        if not math.isfinite(self.position):
            raise DeviceError(
                f"{self.label}: its sensor (PV {self.controller.reading.pvname}) gives no "
                "temperature"
            )

    def _in_celsius(self, temperature: Any, unit: str | None) -> float:
        value = number(self.name, temperature, unit or "degC")
        return value if unit is None else celsius(value, unit_of(f"{self.name}: unit", unit))

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float:
        """Time (s) until a temperature is reached, settling included; nothing is heated.

        Parameters
        ----------
        target, start : float
            degC; ``start`` is where it is by default.
        rate : float, optional
            degC/min; by default as it is set.
        """
        here = self.position if start is None else start
        fast = self.check_rate(self.rate.get() if rate is None else rate)
        return abs(target - here) / fast * 60.0 + float(self.settle_s.get())

    def guarded_trouble(self) -> str:
        """What the guard says is wrong; empty where nothing is, or nothing guards."""
        return "" if self.guard is None else self.guard.trouble()

    def guarded(self) -> bool:
        """Whether the guard says that nothing is wrong; also where there is none."""
        try:
            return not self.guarded_trouble()
        except Exception as exc:  # nobody watches it
            log.error("%s: its guard does not say how it is: %s", self.label, exc)
            return False

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where something failed for lack of an answer; else None.

        Returns
        -------
        ophyd.status.Status or None
            Done when the controller answers again; fails with `DeviceError` after 60 s.
        """
        return answering(self.name, (self.controller.reading, self.controller.demand), error)
