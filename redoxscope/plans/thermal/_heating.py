"""What is asked of a heater, as data: checked before anything is heated."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ...inputs import as_number

__all__ = ["THEN", "Heating"]

THEN = ("cool", "hold")
"""What comes after a soak: down to ``cool_to`` and off, or held for what follows."""


@dataclass(frozen=True)
class Heating:
    """A ramp, a soak and what comes after it.

    Attributes
    ----------
    target, cool_to : float
        degC.
    rate, cool_rate : float or None
        degC/min; None: as the stage is set.
    soak : float
        s in band; 0: none.
    timeout : float or None
        Longest time (s) for the soak.
    then : str
    """

    target: float
    rate: float | None
    soak: float
    timeout: float | None
    then: str
    cool_to: float
    cool_rate: float | None

    @classmethod
    def asked_for(
        cls,
        heater: Any,
        target: Any,
        *,
        rate: Any = None,
        soak: Any = 0.0,
        timeout: Any = None,
        then: Any = "cool",
        cool_to: Any = None,
        cool_rate: Any = None,
    ) -> Heating:
        """What the heater can do, or an error.

        Raises
        ------
        ValueError, ophyd.utils.LimitError
            Names what was given, limit and unit.
        """
        heater.check_value(target)
        back = _number(heater.safe_temperature) if cool_to is None else cool_to
        if cool_to is not None:
            heater.check_value(cool_to)
        if then not in THEN:
            raise ValueError(f"then = {then!r} must be one of {', '.join(map(repr, THEN))}")
        for value in (rate, cool_rate):
            if value is not None:
                heater.check_rate(value)
        wanted = as_number("soak", soak, "s", at_least=0)
        longest = None if timeout is None else as_number("timeout", timeout, "s", above=0)
        if longest is not None and longest < wanted:
            raise ValueError(
                f"timeout = {longest:g} s is shorter than the soak of {wanted:g} s: the soak would "
                "fail after all that heating"
            )
        high, low = as_number("target", target, "degC"), as_number("cool_to", back, "degC")
        if cool_to is not None and then == "cool" and low > high:
            raise ValueError(f"cool_to = {low:g} degC is above target = {high:g} degC")
        return cls(high, _rate("rate", rate), wanted, longest, then, low,
                   _rate("cool_rate", cool_rate))  # fmt: skip

    def phases(self, heater: Any) -> tuple[float, ...]:
        """Times (s) of ramp, soak and cooling, as the heater declares them; NaN where it cannot."""
        ramp = _time(heater, self.target, None, self.rate)
        cool = _time(heater, self.cool_to, self.target, self.cool_rate or self.rate)
        return ramp, self.soak, cool if self.then == "cool" else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As keyword arguments of the plan, for JSON."""
        return asdict(self)

    def metadata(self, heater: Any) -> dict[str, Any]:
        """As the start document has it."""
        return {
            "heater": heater.name,
            "target_c": self.target,
            "rate": self.rate,
            "soak_s": self.soak,
            "timeout_s": self.timeout,
            "then": self.then,
            "cool_to_c": self.cool_to if self.then == "cool" else None,
            "cool_rate": self.cool_rate if self.then == "cool" else None,
        }

    def __str__(self) -> str:
        rate = "" if self.rate is None else f" at {self.rate:g} degC/min"
        soak = f", {self.soak:g} s in band" if self.soak else ""
        then = f", down to {self.cool_to:g} degC" if self.then == "cool" else ", held there"
        return f"{self.target:g} degC{rate}{soak}{then}"


def _rate(name: str, value: Any) -> float | None:
    return None if value is None else as_number(name, value, "degC/min", above=0)


def _number(value: Any) -> Any:
    """The value of a signal, or a number as it is."""
    return value.get() if callable(getattr(value, "get", None)) else value


def _time(heater: Any, target: float, start: float | None, rate: float | None) -> float:
    try:
        return float(heater.time_to(target, start=start, rate=rate))
    except (ValueError, RuntimeError, TimeoutError):  # it does not say where it is, say
        return math.nan
