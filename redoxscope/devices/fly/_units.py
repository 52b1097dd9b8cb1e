"""Milliseconds of the FLY contract, seconds of everybody else."""

from __future__ import annotations

from typing import Any

from ophyd.signal import DerivedSignal
from ophyd.status import Status

__all__ = ["Seconds", "in_ms"]


def in_ms(seconds: float) -> float:
    """Seconds as the contract wants them."""
    return float(seconds) * 1000.0


class Seconds(DerivedSignal):
    """A PV in ms, read and set in s."""

    def inverse(self, value: Any) -> float:
        return float(value) / 1000.0

    def forward(self, value: Any) -> float:
        return in_ms(value)

    def set(self, value: Any, **kwargs: Any) -> Status:
        """Set it (s)."""
        return self.derived_from.set(in_ms(value), **kwargs)

    def describe(self) -> dict[str, Any]:
        keys = super().describe()
        keys[self.name]["units"] = "s"
        return keys

    @property
    def pvname(self) -> str:
        return str(self.derived_from.pvname)
