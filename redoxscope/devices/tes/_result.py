"""One point as it is measured: counts, spectrum, live time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.rixs import spectrum_of
from ...documents import POINT_KEYS, Bins, Window

__all__ = ["PointCounts", "PointResult", "describe_point", "yield_windows"]


def yield_windows(windows: Sequence[str], bins: Bins) -> dict[str, slice]:
    """Data key and bins of each window that is one of emission; those of excitation have none.

    Raises
    ------
    ValueError
        A window that is none or reaches beyond the bins, or two of the same name.
    """
    parts: dict[str, slice] = {}
    for text in windows:
        window = Window.parse(text)
        if window.in_excitation:
            continue
        key = f"tes_{window.name}"
        if key in parts or key in POINT_KEYS:
            raise ValueError(f"window {text!r}: there is already a data key {key}")
        parts[key] = window.slice(bins)
    return parts


@dataclass(frozen=True)
class PointResult:
    """What was measured in a closed window.

    Attributes
    ----------
    point : int
    start_ns, end_ns : int
        On the server's clock.
    counts : int
    live_fraction : float
    spectrum : list
        Photons per bin; NaN without a calibration.
    late_total, lost_total : int
        Found since the run began, until the window was closed.
    closed_at : float
        When (s since 1970, here).
    """

    point: int
    start_ns: int
    end_ns: int
    counts: int
    live_fraction: float
    spectrum: list[int] | list[float]
    late_total: int
    lost_total: int
    closed_at: float

    def read(self, windows: dict[str, slice], late: int, lost: int) -> dict[str, Any]:
        """Readings of the event; ``late`` and ``lost`` as found since the event before."""
        values: dict[str, Any] = {
            "tes_point": self.point,
            "tes_point_start": self.start_ns,
            "tes_point_end": self.end_ns,
            "tes_counts": self.counts,
            "tes_live_fraction": self.live_fraction,
            "tes_late": late,
            "tes_lost": lost,
            "tes_spectrum": self.spectrum,
        }
        values |= {key: sum(self.spectrum[part]) for key, part in windows.items()}
        return {k: {"value": v, "timestamp": self.closed_at} for k, v in values.items()}


def describe_point(
    source: str, windows: dict[str, slice], bins: Bins, *, counted: bool
) -> dict[str, dict[str, Any]]:
    """Data keys of a point; ``counted`` says whether there are energies to count by."""
    number = {"dtype": "integer", "dtype_numpy": "<i8"}
    real = {"dtype": "number", "dtype_numpy": "<f8"}
    mine = [key for key in POINT_KEYS if key.startswith("tes_") and key != "tes_point_status"]
    kinds = dict.fromkeys(mine, number)
    kinds["tes_live_fraction"] = real
    kinds |= dict.fromkeys(windows, number if counted else real)
    kinds["tes_spectrum"] = {**(number if counted else real), "dtype": "array"}
    keys: dict[str, dict[str, Any]] = {}
    for key, kind in kinds.items():
        shape = [len(bins)] if key == "tes_spectrum" else []
        keys[key] = {"source": source, "shape": shape, **kind}
        unit = POINT_KEYS.get(key, "counts")
        if unit is not None:
            keys[key]["units"] = unit
    return keys


class PointCounts:
    """Running counts of the window that is open.

    Parameters
    ----------
    bins : Bins
    pixels : numpy.ndarray of int
        Channel numbers that count.
    dead_time : float
        Time (s) for which a pixel that triggered sees nothing else.
    """

    def __init__(self, bins: Bins, pixels: NDArray[np.int32], dead_time: float):
        self._bins, self._pixels, self._dead_time = bins, pixels, dead_time
        self._width = int(pixels.max(initial=0)) + 1
        self.clear()

    def clear(self) -> None:
        self.spectrum = np.zeros(len(self._bins), np.int64)
        self._per_pixel = np.zeros(self._width, np.int64)

    def add(self, pixel: NDArray[np.uint16], energy: NDArray[np.float32]) -> None:
        """Count photons of usable pixels."""
        self._per_pixel += np.bincount(pixel, minlength=self._width)
        self.spectrum += spectrum_of(energy, self._bins)

    @property
    def counts(self) -> int:
        return int(self._per_pixel.sum())

    def live_fraction(self, length_ns: int) -> float:
        """Mean over the pixels of the part of the window in which they could see a photon."""
        dead = self._per_pixel[self._pixels] * (self._dead_time / (length_ns * 1e-9))
        return float(np.clip(1.0 - dead, 0.0, 1.0).mean())

    def result(
        self, point: int, window: tuple[int, int], late: int, lost: int, *, counted: bool
    ) -> PointResult:
        """What is there now."""
        start, end = window
        return PointResult(
            point, start, end, self.counts, self.live_fraction(end - start),
            self.spectrum.tolist() if counted else [float("nan")] * len(self._bins),
            late, lost, time.time(),
        )  # fmt: skip
