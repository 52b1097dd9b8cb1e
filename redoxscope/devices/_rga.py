"""The residual gas analyser: what it measures is read, and never is it started or stopped."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

from ophyd import EpicsSignalRO
from ophyd.utils import DisconnectedError

from ..inputs import as_name, suggestion
from ._base import LOST, BeamlineDevice, pv

__all__ = ["ResidualGasAnalyser"]

log = logging.getLogger("redoxscope.devices")

RGA_CHANNELS = 9
"""Masses that the EPICS contract follows, ``P:MID1-I`` to ``P:MID9-I``."""


def _pressure(number: int) -> Any:
    doc = f"partial pressure of mass {number} of the list, mbar"
    return pv(EpicsSignalRO, f"P:MID{number}-I", kind="normal", auto_monitor=True, doc=doc)


def _detector(number: int) -> Any:
    doc = f"detector for mass {number} of the list"
    suffix = f"Type:MID{number}Detr-Sel"
    return pv(EpicsSignalRO, suffix, kind="config", auto_monitor=True, doc=doc)


class ResidualGasAnalyser(BeamlineDevice):
    """Partial pressures (mbar) of an analyser that runs by itself, by the contract of NSLS-II.

    An analyser is shared: it is only read, and there is nothing here with which to start or stop
    it. In documents each pressure is ``<name>_<gas>``. One that does not answer is NaN, and
    ``<name>_status`` is 1 then: a ramp of hours does not end for want of it.

    Parameters
    ----------
    gases : sequence of str, optional
        What the masses of its list are, in order, e.g. ``["H2", "CH4", "H2O"]``: those are read.
        By default all nine, as ``mid1`` to ``mid9``.

    Raises
    ------
    ValueError
        A gas has no name or the name of another, or there are more than nine.
    """

    mid1 = _pressure(1)
    mid2 = _pressure(2)
    mid3 = _pressure(3)
    mid4 = _pressure(4)
    mid5 = _pressure(5)
    mid6 = _pressure(6)
    mid7 = _pressure(7)
    mid8 = _pressure(8)
    mid9 = _pressure(9)
    detector1 = _detector(1)
    detector2 = _detector(2)
    detector3 = _detector(3)
    detector4 = _detector(4)
    detector5 = _detector(5)
    detector6 = _detector(6)
    detector7 = _detector(7)
    detector8 = _detector(8)
    detector9 = _detector(9)

    def __init__(
        self, prefix: str = "", *, name: str, gases: Sequence[str] | None = None, **kwargs: Any
    ):
        super().__init__(prefix, name=name, **kwargs)
        names = [f"mid{n}" for n in range(1, RGA_CHANNELS + 1)] if gases is None else list(gases)
        _check_gases(names)
        self._pressures: dict[str, Any] = {}
        for number in range(1, RGA_CHANNELS + 1):
            signal, detector = (getattr(self, f"{part}{number}") for part in ("mid", "detector"))
            if number <= len(names):
                signal.name = f"{name}_{names[number - 1]}"
                self._pressures[names[number - 1]] = signal
            else:
                signal.kind = detector.kind = "omitted"
        self._silent: set[str] = set()

    @property
    def gases(self) -> tuple[str, ...]:
        """Names of what is read."""
        return tuple(self._pressures)

    def pressure(self, gas: str) -> Any:
        """The signal of a gas (mbar).

        Raises
        ------
        ValueError
            It is none of those that are read.
        """
        if gas not in self._pressures:
            hint = suggestion(gas, self.gases) or f"; it reads {', '.join(self.gases)}"
            raise ValueError(f"{self.name} has no gas {gas!r}{hint}")
        return self._pressures[gas]

    def read(self) -> dict[str, dict[str, Any]]:
        """Partial pressures (mbar) as they were told last, NaN where it does not answer."""
        found: dict[str, dict[str, Any]] = {}
        silent = {gas for gas, signal in self._pressures.items() if not signal.connected}
        for gas, signal in self._pressures.items():
            if gas not in silent:
                try:
                    found |= signal.read()
                except (TimeoutError, DisconnectedError, *LOST):
                    silent.add(gas)
            if gas in silent:
                found[signal.name] = {"value": math.nan, "timestamp": time.time()}
        if silent - self._silent:
            shown = ", ".join(self._pv_of(gas) for gas in self.gases if gas in silent)
            log.warning("%s does not answer (%s): NaN is written", self.name, shown)
        self._silent = silent
        status = {"value": int(bool(silent)), "timestamp": time.time()}
        return {**found, f"{self.name}_status": status}

    def describe(self) -> dict[str, dict[str, Any]]:
        """One data key for each gas, in mbar, and the status."""
        keys: dict[str, dict[str, Any]] = {}
        for gas, signal in self._pressures.items():
            keys[signal.name] = {
                "source": f"PV:{self._pv_of(gas)}",
                "dtype": "number",
                "dtype_numpy": "<f8",
                "shape": [],
                "units": "mbar",
                "precision": 10,
            }
        status = {"source": f"PV:{self.prefix}", "dtype": "integer", "dtype_numpy": "<i8"}
        return {**keys, f"{self.name}_status": {**status, "shape": []}}

    def _pv_of(self, gas: str) -> str:
        return self.pvs[f"P:MID{self.gases.index(gas) + 1}-I"]

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": [signal.name for signal in self._pressures.values()]}


def _check_gases(names: Sequence[str]) -> None:
    if not 0 < len(names) <= RGA_CHANNELS:
        raise ValueError(
            f"gases has {len(names)} names; the analyser's list has {RGA_CHANNELS} masses"
        )
    for name in names:
        as_name("gases", name, "H2O")
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise ValueError(f"gases has {twice[0]!r} twice")
