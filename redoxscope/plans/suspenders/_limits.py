"""Suspenders on a value with a limit: ring current, pressure, temperatures."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bluesky import Msg
from bluesky.utils import MsgGenerator

from ...inputs import as_number, plain_number
from ._holding import HoldingSuspender, signal_of

__all__ = ["CryostatSuspender", "OverTemperatureSuspender", "PressureSuspender", "RingSuspender"]

log = logging.getLogger("redoxscope.plans")


class RingSuspender(HoldingSuspender):
    """Suspends what a RunEngine does while the ring current is low.

    As bluesky's ``SuspendFloor``, and further: a plan that was paused meanwhile, or was suspended
    by something else too, does not go on before there is current; a trip during a pause counts; a
    current that is no number (NaN) is none.

    A plan is not begun while the current is low. What was under way when it fell (a line, a point,
    an exposure) is thrown away and measured again; a line is marked as ``RETRIED``.

    Parameters
    ----------
    ring : device or Signal
        A device whose ``current`` (mA) is the signal, as `redoxscope.devices.RingCurrent`; or the
        signal itself.
    below : float
        Suspends below this (mA).
    resume : float, optional
        Goes on from this on (mA); by default ``below``.
    settle : float
        Goes on once the current has been high for so long (s).

    Raises
    ------
    ValueError
        A limit is no number or negative, ``resume`` is lower than ``below``, or ``ring`` has no
        signal.

    Examples
    --------
    >>> RE.install_suspender(RingSuspender(ring, below=100, resume=200))  # doctest: +SKIP
    """

    def __init__(
        self, ring: Any, *, below: float, resume: float | None = None, settle: float = 0.0
    ) -> None:
        signal = signal_of("ring", ring, "current")
        self.below = as_number("below", below, "mA", above=0)
        self.resume = (
            self.below if resume is None else as_number("resume", resume, "mA", at_least=self.below)
        )
        super().__init__(signal, settle=settle)

    def __repr__(self) -> str:
        return f"RingSuspender({self._sig.name}, below={self.below:g}, resume={self.resume:g})"

    def _judge(self, value: Any) -> bool | None:
        number = plain_number(value)
        if number is None or not number >= self.below:
            return True
        return False if number >= self.resume else None

    def _reason(self, value: Any) -> str:
        return f"{self._sig.name} is {value} mA, less than {self.below:g} mA"

    def _until(self) -> str:
        return f"it is {self.resume:g} mA"

    def _over(self, value: Any) -> str:
        return f"{self._sig.name} is {value} mA again"


class _Ceiling(HoldingSuspender):
    """Suspends while a value is too high, or none: a sensor that fails proves nothing."""

    unit = ""

    def __init__(
        self, signal: Any, *, above: float, resume: float | None, settle: float, least: float | None
    ) -> None:
        self.above = as_number("above", above, self.unit, above=least)
        self.resume = (
            self.above
            if resume is None
            else as_number("resume", resume, self.unit, at_most=self.above)
        )
        super().__init__(signal, settle=settle)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({self._sig.name}, above={self.above:g}, resume={self.resume:g})"

    def _judge(self, value: Any) -> bool | None:
        number = plain_number(value)
        if number is None or not number <= self.above:
            return True
        return False if number <= self.resume else None

    def _reason(self, value: Any) -> str:
        number = plain_number(value)
        shown = value if number is None else f"{number:.6g}"
        if number is None or number != number:
            return f"{self._sig.name} is {shown}, which is no value in {self.unit}"
        return f"{self._sig.name} is {shown} {self.unit}, more than {self.above:g} {self.unit}"

    def _until(self) -> str:
        return f"it is {self.resume:g} {self.unit}"

    def _over(self, value: Any) -> str:
        return f"{self._sig.name} is {plain_number(value):.6g} {self.unit} again"


class PressureSuspender(_Ceiling):
    """Suspends what a RunEngine does while the pressure in the chamber is high.

    A sample that is heated gives off gas: the window of a cryostat, and the sample's surface, want
    a pressure. The heater stands meanwhile as a pause leaves it: it keeps its set point.

    Parameters
    ----------
    gauge : device or Signal
        A device whose ``pressure`` is the signal, as `redoxscope.devices.PressureGauge`; or the
        signal itself.
    above : float
        Suspends above this (mbar, or what the gauge's unit is). No value (NaN) counts as too high.
    resume : float, optional
        Goes on from this on down; by default ``above``.
    settle : float
        Goes on once it has been low for so long (s).

    Raises
    ------
    ValueError
        A limit is no number or negative, ``resume`` is higher than ``above``, or ``gauge`` has no
        signal.

    Examples
    --------
    >>> RE.install_suspender(PressureSuspender(gauge, above=1e-7))  # doctest: +SKIP
    """

    unit = "mbar"

    def __init__(
        self, gauge: Any, *, above: float, resume: float | None = None, settle: float = 0.0
    ) -> None:
        signal = signal_of("gauge", gauge, "pressure")
        super().__init__(signal, above=above, resume=resume, settle=settle, least=0)


class CryostatSuspender(_Ceiling):
    """Suspends what a RunEngine does while the cryostat of the detector is too warm.

    A calibration holds at the temperature at which it was made, and an array that is not
    superconducting sees nothing.

    Parameters
    ----------
    cryostat : device or Signal
        A device whose ``temperature`` (K) is the signal, as `redoxscope.devices.Thermometer`; or
        the signal itself.
    above : float
        Suspends above this (K). No value (NaN) counts as too warm.
    resume : float, optional
        Goes on from this on down (K); by default ``above``.
    settle : float
        Goes on once it has been cold for so long (s).

    Raises
    ------
    ValueError
        A limit is no number or negative, ``resume`` is higher than ``above``, or ``cryostat`` has
        no signal.

    Examples
    --------
    >>> RE.install_suspender(CryostatSuspender(cryostat, above=0.07, settle=600))  # doctest: +SKIP
    """

    unit = "K"

    def __init__(
        self, cryostat: Any, *, above: float, resume: float | None = None, settle: float = 0.0
    ) -> None:
        signal = signal_of("cryostat", cryostat, "temperature")
        super().__init__(signal, above=above, resume=resume, settle=settle, least=0)


class OverTemperatureSuspender(_Ceiling):
    """Suspends what a RunEngine does while the sample is too hot, and has the heater made safe.

    The heater ramps down to its safe temperature and is switched off. When it is cold enough the
    plan goes on and asks for its set point again. The guard in the IOC acts without any plan, and
    where this client is dead: its ceiling lies above this one.

    Parameters
    ----------
    heater : device
        A heating stage; its ``temperature`` (°C) is watched and its ``make_safe()`` called.
    above : float
        Suspends above this (°C). No value (NaN) counts as too hot: the sensor may have failed.
    resume : float, optional
        Goes on from this on down (°C); by default ``above``.
    settle : float
        Goes on once it has been cold enough for so long (s).
    sensor : Signal, optional
        Another temperature (°C) than the heater's own.

    Raises
    ------
    ValueError
        A limit is no number, ``resume`` is higher than ``above``, or ``heater`` is no heater.

    Examples
    --------
    >>> RE.install_suspender(OverTemperatureSuspender(heater, above=130))  # doctest: +SKIP
    """

    unit = "°C"

    def __init__(
        self,
        heater: Any,
        *,
        above: float,
        resume: float | None = None,
        settle: float = 0.0,
        sensor: Any = None,
    ) -> None:
        if isinstance(heater, type) or not callable(getattr(heater, "make_safe", None)):
            shown = getattr(heater, "name", heater)
            raise ValueError(f"heater = {shown!r} is no heating stage: it has no make_safe()")
        self._heater = heater
        if sensor is None:
            signal = signal_of("heater", heater, "temperature")
        else:
            signal = signal_of("sensor", sensor, "temperature")
        super().__init__(signal, above=above, resume=resume, settle=settle, least=None)

    def _before(self) -> MsgGenerator[None]:
        # After the RunEngine has stopped what it had set: a stop holds, which would be hot.
        yield Msg("wait_for", None, [self._make_safe])

    async def _make_safe(self) -> None:
        """Have the heater made safe; what keeps it from that is told, the wait goes on."""
        try:
            status = await asyncio.to_thread(self._heater.make_safe, success=True)
        except Exception as exc:
            self._not_safe(exc)
            return
        status.add_callback(lambda done: self._not_safe(done.exception(timeout=0)))

    def _not_safe(self, error: BaseException | None) -> None:
        if error is not None:
            name = self._heater.name
            log.error("%s is too hot and was not made safe: %s. CHECK IT BY HAND.", name, error)
