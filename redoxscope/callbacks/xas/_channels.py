"""Points of a run as arrays: what each channel had at each energy of each repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...documents import XasInfo, XasMode, sigma_key
from ...inputs import as_whole, plain_number
from ...scan import Role, Scan

__all__ = ["Channels"]

Array = NDArray[np.float64]
COUNTS = "counts"


class Channels:
    """Values of the channels by repeat and energy; a point that comes again takes its old place.

    An energy that a repeat goes to more than once has the mean of its points.

    Parameters
    ----------
    scan : Scan
        Of points.
    info : XasInfo

    Raises
    ------
    ValueError
        The scan has no points of the sample.
    """

    def __init__(self, scan: Scan, info: XasInfo) -> None:
        sample = [k for k, point in enumerate(scan.points) if point.role is Role.SAMPLE]
        if not sample:
            raise ValueError("the scan of the spectra has no points of the sample")
        self.planned = np.unique([scan.points[k].energy for k in sample])
        self.repeats = scan.passes
        place = {energy: i for i, energy in enumerate(self.planned)}
        self._cell = np.full(len(scan.points), -1)  # of repeat and energy, by point
        for k in sample:
            point = scan.points[k]
            self._cell[k] = point.repeat * len(self.planned) + place[point.energy]
        self._last = {scan.points[k].repeat: k for k in sample}  # of each repeat
        self._dark = {k for k, point in enumerate(scan.points) if point.role is Role.DARK}
        self._dwell = np.array([point.dwell for point in scan.points])
        self.total = len(scan.points)
        keys = sorted({key for mode in info.modes.values() for key in mode.keys})
        self.keys = tuple(keys)
        self._value = {key: np.full(self.total, np.nan) for key in keys}
        self._sigma = {key: np.full(self.total, np.nan) for key in keys}
        self._energy = np.full(self.total, np.nan)
        self.units: dict[str, str] = {}
        self._darks: dict[str, dict[int, float]] = {key: {} for key in keys}
        self._seen: set[int] = set()
        self._doubtful: set[int] = set()
        self._again: set[int] = set()
        self._lacking: set[int] = set()

    def describe(self, data_keys: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the channels' units from a descriptor.

        Raises
        ------
        ValueError
            A channel that a mode needs is not among its keys.
        """
        for key in self.keys:
            if key not in data_keys:
                raise ValueError(f"the events have no {key}, of which a spectrum should be made")
            self.units[key] = str(data_keys[key].get("units") or "")

    def take(self, data: Mapping[str, Any]) -> None:
        """Take one point.

        Raises
        ------
        ValueError
            It is none of the scan's.
        """
        number = as_whole("point", data["point"], at_most=self.total - 1)
        status = int(data.get("xas_point_status", 0))
        self._seen.add(number)
        _mark(self._doubtful, number, bool(status))
        _mark(self._again, number, int(data.get("xas_point_tries", 1)) > 1)
        if number in self._dark:
            for key, darks in self._darks.items():
                darks.pop(number, None)
                value = _number(data.get(key))
                if not status and np.isfinite(value):
                    darks[number] = value / self._per(key, number)
            return
        if self._cell[number] < 0:
            return  # of the incoming beam, or a dose check
        lacking = False
        for key in self.keys:
            value, sigma = _number(data.get(key)), _number(data.get(sigma_key(key)))
            good = not status and np.isfinite(value)
            lacking |= not status and not np.isfinite(value)
            self._value[key][number] = value if good else np.nan
            self._sigma[key][number] = sigma if good else np.nan
        _mark(self._lacking, number, lacking)
        self._energy[number] = _number(data.get("energy"))

    def _per(self, key: str, number: int) -> float:
        """What a channel's value grows with: the dwell for counts, nothing for a mean current."""
        return float(self._dwell[number]) if self.units.get(key) == COUNTS else 1.0

    @property
    def done(self) -> int:
        """Points that have come."""
        return len(self._seen)

    @property
    def doubtful(self) -> int:
        """Points left out for what their status says."""
        return len(self._doubtful)

    @property
    def lacking(self) -> int:
        """Points without a value of some channel, though nothing is said against them."""
        return len(self._lacking)

    @property
    def again(self) -> int:
        """Points that were measured again."""
        return len(self._again)

    @property
    def whole(self) -> list[int]:
        """Repeats whose last point has come."""
        return [repeat for repeat, last in sorted(self._last.items()) if last in self._seen]

    @property
    def begun(self) -> list[int]:
        """Repeats that have points."""
        counts = np.stack([self.table(self._value[key])[0] for key in self.keys])
        seen = counts.sum(axis=(0, 2)) > 0
        return [int(k) for k in np.flatnonzero(seen)]

    def table(self, by_point: Array) -> tuple[Array, Array]:
        """How many points there are of each repeat and energy [r, n], and the sum of their values.

        ``by_point``: a value for each point of the scan, NaN where there is none.
        """
        good = np.isfinite(by_point) & (self._cell >= 0)
        size = self.repeats * len(self.planned)
        shape = self.repeats, len(self.planned)
        count = np.bincount(self._cell[good], minlength=size).reshape(shape)
        total = np.bincount(self._cell[good], by_point[good], minlength=size).reshape(shape)
        return count.astype(float), total.astype(float)

    def parts(self, repeats: Iterable[int]) -> dict[int, float]:
        """Part of its energies that a repeat has, in the channel that has least."""
        found = [self.table(self._value[key])[0] > 0 for key in self.keys]
        return {k: min(float(each[k].mean()) for each in found) for k in repeats}

    def energies(self, repeat: int) -> Array:
        """Energies (eV) of a repeat: those read back, where they rise; else those planned."""
        count, total = self.table(self._energy)
        with np.errstate(invalid="ignore"):
            read = total[repeat] / count[repeat]
        energies = np.where(np.isfinite(read), read, self.planned)
        return energies if (np.diff(energies) > 0).all() else self.planned

    def ratio(self, mode: XasMode, repeats: Iterable[int]) -> tuple[Array, Array]:
        """Values and sigma [r, n] of a mode: signal over I0, or -ln of it, offsets taken off.

        NaN where either is not above its offset: nothing can be said there.
        """
        rows = list(repeats)
        signal, signal_sigma = self._net(mode.signal, rows)
        i0, i0_sigma = self._net(mode.i0, rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.where(i0 > 0, signal / i0, np.nan)
            relative = (i0_sigma / i0) ** 2
            if mode.kind == "transmission":
                inside = value > 0
                sigma = np.sqrt((signal_sigma / signal) ** 2 + relative)
                value = np.where(inside, -np.log(np.where(inside, value, 1.0)), np.nan)
                return value, np.where(inside, sigma, np.nan)
            return value, np.sqrt((signal_sigma / i0) ** 2 + value**2 * relative)

    def _net(self, key: str, rows: list[int]) -> tuple[Array, Array]:
        """A channel's value and sigma without its offset, counts as counts per second."""
        per = self._dwell if self.units.get(key) == COUNTS else 1.0
        darks = self._darks[key]
        offset = float(np.mean(list(darks.values()))) if darks else 0.0
        count, total = self.table(self._value[key] / per)
        known, squares = self.table((self._sigma[key] / per) ** 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = total / count - offset
            sigma = np.where(known == count, np.sqrt(squares) / count, np.nan)
        return value[rows], sigma[rows]


def _mark(marked: set[int], number: int, yes: bool) -> None:
    (marked.add if yes else marked.discard)(number)


def _number(value: Any) -> float:
    number = plain_number(value)
    return float("nan") if number is None else number
