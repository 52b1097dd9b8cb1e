"""Frames of a stack as they arrive: kept, because sums cannot be shifted again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._move import moved
from ._counts import dead_time_corrected

__all__ = ["Detector", "Frames"]

Single = NDArray[np.float32]


@dataclass(frozen=True)
class Detector:
    """What is known of a counting detector.

    Attributes
    ----------
    dead_time : float
        Dead time per count, s (non-paralyzable); 0 for none.
    saturation : float
        Count rate at and above which its counts mean nothing, 1/s; 0 for unknown.
    """

    dead_time: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        for field, value in (("dead_time", self.dead_time), ("saturation", self.saturation)):
            unit = "s" if field == "dead_time" else "counts/s"
            if not np.isfinite(value) or value < 0:
                raise ValueError(f"{field} is {value!r} {unit}, but must be finite and >= 0")

    def limit(self, dwell: float | None) -> float:
        """Counts per pixel from which on the detector is saturated; inf if unknown."""
        limits = [np.inf]
        if dwell is not None:
            if self.saturation > 0:
                limits.append(self.saturation * dwell)
            if self.dead_time > 0:
                limits.append(dwell / self.dead_time)
        return float(min(limits))


class Frames:
    """Raw counts of one detector for a whole stack, float32, and the same shifted.

    ``dark`` [nE] are the dark counts per pixel at each energy's dwell.

    Parameters
    ----------
    shape : tuple of int
        (nE, ny, nx).
    detector : Detector
        Its dead time and saturation.
    dwell : numpy.ndarray [nE] or None
        Counting time per pixel at each energy, s.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        detector: Detector,
        dwell: NDArray[np.float64] | None,
    ) -> None:
        # Not filled: an untouched page costs no memory, and `present` says what is valid.
        self.raw: Single = np.empty(shape, dtype=np.float32)
        self.aligned: Single = self.raw
        self.detector = detector
        self.dwell = dwell
        times = [None] * shape[0] if dwell is None else dwell
        self.limit = np.array([detector.limit(time) for time in times])
        self.dark = np.zeros(shape[0])

    @property
    def plain(self) -> bool:
        """Whether the counts observed are those of the light, as they are."""
        return self.detector.dead_time == 0 and not self.dark.any()

    def true(self, observed: NDArray, k: int | NDArray[np.intp]) -> NDArray:
        """Counts of energy ``k``, or of energies along the first axis: of the light alone.

        Corrected for dead time, the dark counts taken off.
        """
        alive = self._alive(observed, k)
        return alive - self._along(self.dark, k, observed) if self.dark.any() else alive

    def stretch(self, observed: NDArray, k: int | NDArray[np.intp]) -> NDArray:
        """Factor by which the dark counts raise the variance of the logarithm; see `log_variance`.

        With t counts, of them d dark, ``ln(t − d)`` varies t/(t − d) times as much as ``ln t``.
        """
        alive = self._alive(observed, k)
        return (alive / (alive - self._along(self.dark, k, observed))) ** 2

    def least(self, k: NDArray[np.intp]) -> NDArray[np.float64]:
        """Counts observed at and below which there is no light, at each energy."""
        if not self.dark.any():
            return np.zeros(len(k))
        tau = 0.0 if self.dwell is None else self.detector.dead_time / self.dwell[k]
        return self.dark[k] / (1.0 + self.dark[k] * tau)

    def _alive(self, observed: NDArray, k: int | NDArray[np.intp]) -> NDArray:
        if self.detector.dead_time == 0:
            return observed
        dwell = None if self.dwell is None else self._along(self.dwell, k, observed)
        return dead_time_corrected(observed, dwell, self.detector.dead_time)

    @staticmethod
    def _along(values: NDArray, k: int | NDArray[np.intp], observed: NDArray) -> NDArray:
        chosen = values[k]
        return chosen.reshape(-1, *[1] * (observed.ndim - 1)) if np.ndim(chosen) else chosen

    def align(self, k: int, shift: NDArray[np.float64], present: NDArray[np.bool_]) -> None:
        """Shift frame ``k`` by (dy, dx) pixels; NaN comes in at the border."""
        if self.aligned is self.raw:
            self.aligned = self.raw.copy()
        frame = np.where(present[:, None], self.raw[k], np.float32(np.nan))
        self.aligned[k] = moved(frame, shift)

    def unalign(self) -> None:
        """Forget all shifts."""
        self.aligned = self.raw
