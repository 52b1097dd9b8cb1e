"""The points of a flown line, as a step scan would have read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...documents import PointStatus, sigma_key
from .._base import DeviceError

__all__ = ["Flown"]


class Flown:
    """Reads the line that a station's sweep flew last, one point after the other.

    So a flown spectrum has the same events as one in steps, and readers need no second form.

    Attributes
    ----------
    point : int
        Which point of the line is read, from 0.
    """

    parent = None

    def __init__(self, station: Any):
        self.name = f"{station.name}_flown"
        self._station = station
        self.point = 0

    def __repr__(self) -> str:
        return f"Flown({self.name!r})"

    def read(self) -> dict[str, Any]:
        """One point; what was not measured is NaN and has the status `MISSED`.

        Raises
        ------
        DeviceError
            No line was flown.
        """
        station, i = self._station, self.point
        flown = station.sweep.flown
        if flown is None:
            raise DeviceError(f"{station.name}: no line was flown")
        energy = float(flown.energy[i])
        judged = station.conditions.read()
        status = PointStatus(judged["xas_point_status"]["value"])
        values: dict[str, Any] = {"energy": energy}
        for channel, key in station.flown_channels.items():
            values[key] = float(flown.means[channel][i])
            values[sigma_key(key)] = float(flown.sigmas[channel][i])
            if not math.isfinite(values[key]):
                status |= PointStatus.MISSED
        if not abs(energy - flown.line.energies[i]) <= self._tolerance(flown.line.energies):
            status |= PointStatus.ENERGY if math.isfinite(energy) else PointStatus.MISSED
        values["point"] = flown.line.first + i
        values["xas_point_status"] = int(status)
        values["xas_point_tries"] = judged["xas_point_tries"]["value"]
        if station.ring is not None:
            values["ring_current"] = float(station.ring.current.get())
        return {key: {"value": value, "timestamp": flown.when} for key, value in values.items()}

    def _tolerance(self, energies: tuple[float, ...]) -> float:
        """How far (eV) a point may be from where it was asked for: half a step on the way."""
        step = abs(energies[1] - energies[0]) if len(energies) > 1 else 0.0
        return float(max(self._station.mono.tolerance, step / 2))

    def describe(self) -> dict[str, Any]:
        """Data keys of a point."""
        station = self._station
        source = f"PV:{station.sweep.energy.pvname}"
        number = {"source": source, "dtype": "number", "dtype_numpy": "<f8", "shape": []}
        keys: dict[str, Any] = {"energy": {**number, "units": "eV"}}
        for channel, key in station.flown_channels.items():
            signal = getattr(station.sweep, f"mean{station.sweep.numbers[channel]}")
            keys[key] = {**number, "source": f"PV:{signal.pvname}", "units": "A"}
            keys[sigma_key(key)] = dict(keys[key])
        keys |= station.conditions.describe()
        if station.ring is not None:
            keys["ring_current"] = {**number, "units": "mA"}
        return keys

    def read_configuration(self) -> dict[str, Any]:
        """That of the sweep and of the monochromator."""
        found = dict(self._station.sweep.read_configuration())
        return found | dict(self._station.mono.read_configuration())

    def describe_configuration(self) -> dict[str, Any]:
        """Data keys of the configuration."""
        found = dict(self._station.sweep.describe_configuration())
        return found | dict(self._station.mono.describe_configuration())

    def monitor(self) -> tuple[float, float]:
        """The beam monitor over the line: its mean (A), and the sigma of that (A)."""
        flown = self._station.sweep.flown
        means, sigmas = flown.means["i0"], flown.sigmas["i0"]
        if not np.isfinite(means).any():
            return math.nan, 0.0
        known = np.isfinite(sigmas)
        sigma = math.sqrt(float((sigmas[known] ** 2).sum())) / max(int(known.sum()), 1)
        return float(np.nanmean(means)), sigma
