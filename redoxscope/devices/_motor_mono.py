"""A monochromator that is one motor record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal

from ._base import pv
from ._monochromator import Monochromator
from ._numbers import zero_or_more
from ._positioner import FreshSignal, FreshSignalRO
from ._setting import Setting

__all__ = ["MotorMonochromator"]


class MotorMonochromator(Monochromator):
    """Photon energy on a motor record in eV; whatever else moves with it does so by itself.

    Parameters
    ----------
    edge_offsets, backlash, tolerance
        As of `Monochromator`.
    settle : float
        For how long (s) its put is not complete yet after a move; no field of the record is asked.
    """

    readback = pv(FreshSignalRO, ".RBV", kind="normal", auto_monitor=True, doc="eV")
    setpoint = pv(
        FreshSignal, ".VAL", kind="normal", auto_monitor=True, put_complete=True, doc="eV"
    )
    epu_setpoint = None
    epu_readback = None
    velocity = pv(FreshSignalRO, ".VELO", kind="config", auto_monitor=True, doc="eV/s")
    settle = Cpt(
        Setting, value=0.0, check=zero_or_more, unit="s", kind="config", doc="after a move, s"
    )
    halt = pv(EpicsSignal, ".STOP", kind="omitted", doc="1 stops it")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        settle: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.settle.put(settle)

    @property
    def axes(self) -> tuple[tuple[str, Any, Any, float], ...]:
        """The record alone."""
        return (("energy", self.setpoint, self.readback, self.tolerance),)
