"""Signals of a heating stage: in degC and %, whatever its controller has."""

from __future__ import annotations

import math
from typing import Any

from ophyd.signal import DerivedSignal

from ...inputs import as_number, is_number
from .._setting import Setting
from ._controller import INVALID

__all__ = ["Celsius", "Output", "Rate"]


class Celsius(DerivedSignal):
    """Temperature (degC) that a controller has in its own unit; NaN where it means nothing."""

    def __init__(self, *, part: str, parent: Any, **kwargs: Any):
        self._convert = getattr(parent.controller, f"{part}_celsius")
        super().__init__(getattr(parent.controller, part), parent=parent, **kwargs)

    def _derived_value_callback(self, value: Any, **kwargs: Any) -> None:
        if self.derived_from.metadata.get("severity") == INVALID:
            value = math.nan  # the number is that of before
        if self.parent.controller.knows_unit:
            super()._derived_value_callback(value, **kwargs)

    def get(self, **kwargs: Any) -> float:
        """By the last monitor."""
        value = self.parent.celsius(self.derived_from.get(**kwargs), self)
        self._readback, self._metadata["timestamp"] = value, self.derived_from.timestamp
        return value

    def inverse(self, value: Any) -> float:
        return float(self._convert(value))

    def read(self) -> dict[str, dict[str, Any]]:
        """As the server has it now."""
        (raw,) = self.derived_from.read().values()
        return {self.name: {**raw, "value": self.parent.celsius(raw["value"], self)}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """In degC, whatever the controller's unit."""
        keys: dict[str, dict[str, Any]] = super().describe()
        key = keys[self.name]
        key["units"] = "degC"
        low, high = key.get("lower_ctrl_limit", math.nan), key.get("upper_ctrl_limit", math.nan)
        if is_number(low) and is_number(high) and low < high:  # 0, 0: it has none
            key["lower_ctrl_limit"], key["upper_ctrl_limit"] = self.inverse(low), self.inverse(high)
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
