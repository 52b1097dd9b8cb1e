"""Counts and exposures of a RIXS run, point by point."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Bins
from redoxscope.inputs import as_whole

from ._results import Array

__all__ = ["Passes", "PointCounts"]

Passes = int | Iterable[int] | None


class PointCounts:
    """What `RixsCounts` keeps of each point, and how long each counts; parameters as there."""

    def __init__(
        self, energies: ArrayLike, bins: Bins, passes: int = 1, *, flux: float | None = None
    ) -> None:
        self.energies = np.array(energies, dtype=np.float64)
        if self.energies.ndim != 1 or not len(self.energies):
            raise ValueError(f"energies have shape {self.energies.shape}; expected [nE], eV")
        if not np.isfinite(self.energies).all():
            raise ValueError("energies hold NaN or inf, but must be finite, eV")
        if passes < 1:
            raise ValueError(f"passes = {passes}, but there must be at least 1")
        if flux is not None and not (math.isfinite(flux) and flux > 0):
            raise ValueError(f"flux = {flux} counts/s, but must be finite and above 0 counts/s")
        self.bins = bins
        shape = (passes, len(self.energies))
        self.spectra = np.zeros((*shape, len(bins)), dtype=np.uint32)
        self.i0 = np.full(shape, np.nan)
        self.i0_sigma = np.zeros(shape)
        self.live = np.zeros(shape)
        self.seconds = np.full(shape, np.nan)
        self.late = np.zeros(shape, dtype=np.int64)
        self.lost = np.zeros(shape, dtype=np.int64)
        self.provisional = np.zeros(shape, dtype=bool)
        self._flux = flux

    @property
    def passes(self) -> int:
        """How many passes there are room for."""
        return self.spectra.shape[0]

    # -- arrival ---------------------------------------------------------------------------

    def set_point(
        self,
        ipass: int,
        ie: int,
        *,
        spectrum: ArrayLike,
        seconds: float,
        live: float = 1.0,
        i0: float | None = None,
        i0_sigma: float = 0.0,
        late: int = 0,
        lost: int = 0,
        provisional: bool = False,
    ) -> None:
        """Store one point in place of what was there.

        Parameters
        ----------
        ipass, ie : int
            Pass and index of the energy, from 0.
        spectrum : array_like of int [nb]
            Photons per bin.
        seconds : float
            Length of the point's window (s).
        live : float
            Part of it in which the detector was alive (averaged over the usable pixels), 0 to 1.
            At 0 the point counts as not measured.
        i0 : float or None
            Monitor counts in the window, corrected for dead time. Where other points have a
            monitor, a point with None, NaN or nothing above 0 counts as not measured.
        i0_sigma : float
            Standard deviation of `i0` (counts).
        late, lost : int
            Photons that came too late, and that never came.
        provisional : bool
            The point is under way and has no `i0` yet: taken as measured at the mean flux.

        Raises
        ------
        IndexError
            There is no such pass or energy.
        ValueError
            The spectrum has another length or is no counts, or a number is out of its range.
        """
        n_passes, n_energies, n_bins = self.spectra.shape
        if not (0 <= ipass < n_passes and 0 <= ie < n_energies):
            raise IndexError(
                f"pass {ipass}, energy {ie}: there are {n_passes} passes of {n_energies} energies"
            )
        counts = np.asarray(spectrum)
        if counts.shape != (n_bins,):
            raise ValueError(f"spectrum has shape {counts.shape}; expected ({n_bins},)")
        with np.errstate(invalid="ignore"):
            if counts.dtype.kind not in "iu" and not (counts == np.floor(counts)).all():
                raise ValueError("spectrum holds parts of photons or NaN; expected counts")
            if counts.min() < 0:
                raise ValueError(f"spectrum holds {counts.min()} counts; expected 0 or more")
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"seconds = {seconds} s, but must be finite and above 0 s")
        if not 0 <= live <= 1:
            raise ValueError(f"live = {live}, but must lie within 0 and 1")
        if not (math.isfinite(i0_sigma) and i0_sigma >= 0):
            raise ValueError(f"i0_sigma = {i0_sigma} counts, but must be finite and at least 0")
        at = ipass, ie
        self.spectra[at] = counts
        self.seconds[at], self.live[at] = seconds, live
        self.i0[at] = math.nan if i0 is None or not math.isfinite(i0) else i0
        self.i0_sigma[at] = i0_sigma
        self.late[at], self.lost[at] = late, lost
        self.provisional[at] = provisional

    def drop_point(self, ipass: int, ie: int) -> None:
        """Forget a point: as if it had never been measured."""
        at = ipass, ie
        self.spectra[at] = 0
        self.seconds[at] = self.i0[at] = math.nan
        self.live[at] = self.i0_sigma[at] = 0.0
        self.late[at] = self.lost[at] = 0
        self.provisional[at] = False

    # -- exposure --------------------------------------------------------------------------

    @property
    def has_monitor(self) -> bool:
        """Whether rates are normalised by a monitor: at least one point has one."""
        return bool(np.isfinite(self.i0).any())

    @property
    def flux(self) -> float:
        """Monitor counts per second that rates are normalised to; NaN without a monitor."""
        if self._flux is not None:
            return self._flux
        known = (self.i0 > 0) & np.isfinite(self.seconds) & ~self.provisional
        seconds = self.seconds[known].sum()
        return float(self.i0[known].sum() / seconds) if seconds else math.nan

    @property
    def exposure(self) -> Array:
        """Live time at the mean flux (s), [passes, nE]; NaN where a point is not measured."""
        exposure = self.live * self.seconds
        if self.has_monitor:
            flux = self.flux
            if math.isfinite(flux):
                known = np.where(self.i0 > 0, self.live * self.i0 / flux, np.nan)
                exposure = np.where(self.provisional & ~(self.i0 > 0), exposure, known)
            else:
                exposure = np.where(self.provisional, exposure, np.nan)
        return np.where(exposure > 0, exposure, np.nan)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which points have a rate, [passes, nE]."""
        return np.isfinite(self.exposure)

    @property
    def monitor_variance(self) -> Array:
        """Relative variance of the monitor counts, [passes, nE]; 0 without a monitor."""
        known = self.i0 > 0
        return np.where(known, self.i0_sigma / np.where(known, self.i0, 1.0), 0.0) ** 2

    def chosen(self, passes: Passes = None) -> list[int]:
        """Numbers of the passes meant.

        Raises
        ------
        ValueError
            There is no such pass.
        """
        if passes is None:
            return list(range(self.passes))
        given = list(passes) if isinstance(passes, Iterable) else [passes]
        chosen = [as_whole("pass", p, at_most=self.passes - 1) for p in given]
        if not chosen or len(set(chosen)) != len(chosen):
            raise ValueError(
                f"passes = {chosen}; expected some of 0 to {self.passes - 1}, once each"
            )
        return chosen

    def summed(
        self, passes: Passes = None
    ) -> tuple[NDArray[np.int64], Array, Array, NDArray[np.float64]]:
        """Passes put together, without what is not measured.

        Returns
        -------
        counts : numpy.ndarray of int64 [nE, nb]
        exposure : numpy.ndarray [nE]
            Sum of the exposures (s); 0 where nothing is measured.
        relative : numpy.ndarray [nE]
            Relative variance that the monitor brings in.
        coverage : numpy.ndarray [nE]
            Part of the passes that has the energy.

        Raises
        ------
        ValueError
            There is no such pass.
        """
        chosen = self.chosen(passes)
        exposure = self.exposure[chosen]
        measured = np.isfinite(exposure)
        exposure[~measured] = 0.0
        counts = np.zeros(self.spectra.shape[1:], dtype=np.int64)
        for p, rows in zip(chosen, measured, strict=True):
            if rows.all():
                counts += self.spectra[p]
            else:
                counts[rows] += self.spectra[p][rows]
        total = exposure.sum(axis=0)
        spread = (exposure**2 * self.monitor_variance[chosen]).sum(axis=0)
        relative = spread / np.where(total > 0, total, 1.0) ** 2
        return counts, total, relative, measured.mean(axis=0)
