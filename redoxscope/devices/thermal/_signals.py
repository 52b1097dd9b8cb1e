"""Signals of a heating stage: in degC and %, whatever its controller has."""

from __future__ import annotations

from typing import Any

from ophyd.signal import DerivedSignal

from ...inputs import as_number
from .._setting import Setting

__all__ = ["Celsius", "Output", "Rate"]


class Celsius(DerivedSignal):
    """Temperature (degC) that a controller has in its own unit."""

    def __init__(self, *, part: str, parent: Any, **kwargs: Any):
        self._convert = getattr(parent.controller, f"{part}_celsius")
        super().__init__(getattr(parent.controller, part), parent=parent, **kwargs)

    def _derived_value_callback(self, value: Any, **kwargs: Any) -> None:
        if self.parent.controller.knows_unit:
            super()._derived_value_callback(value, **kwargs)

    def inverse(self, value: Any) -> float:
        return float(self._convert(value))

    def read(self) -> dict[str, dict[str, Any]]:
        """As the server has it now."""
        (raw,) = self.derived_from.read().values()
        return {self.name: {**raw, "value": self.parent.celsius(raw["value"], self)}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """In degC, whatever the controller's unit."""
        keys: dict[str, dict[str, Any]] = super().describe()
        keys[self.name]["units"] = "degC"
        return keys


class Output(DerivedSignal):
    """What the heater is driven with (%)."""

    def __init__(self, *, part: str, parent: Any, **kwargs: Any):
        super().__init__(getattr(parent.controller, part), parent=parent, **kwargs)

    def read(self) -> dict[str, dict[str, Any]]:
        (raw,) = self.derived_from.read().values()
        return {self.name: raw}

    def describe(self) -> dict[str, dict[str, Any]]:
        keys: dict[str, dict[str, Any]] = super().describe()
        keys[self.name]["units"] = "%"
        return keys


class Rate(Setting):
    """Rate (degC/min) up to what the stage may do."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, check=self._within, unit="degC/min", **kwargs)

    def _within(self, value: Any) -> float:
        try:
            return as_number("", value, above=0, at_most=self.parent.max_rate)
        except ValueError as exc:
            raise ValueError(f"must{str(exc).partition(' must')[2]}") from None
