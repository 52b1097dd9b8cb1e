"""Counts of a RIXS run, point by point, and what is made of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Window

from ._point_counts import Passes, PointCounts
from ._results import Array, EmissionSpectrum, RixsMapResult, Yield

__all__ = ["MIN_COUNTS", "RixsCounts"]

MIN_COUNTS = 25
"""Photons below which no inverse yield is given: 1/N is then 4 % off on average, and skewed."""


class RixsCounts(PointCounts):
    """Spectra of a run's points, each the last that was set.

    A point's exposure is ``live · i0 / flux`` (s), where flux is the mean of i0 per second over
    the run: the live time that the detector would have needed at the mean flux. Without a monitor
    it is ``live · seconds``. Every rate is counts over exposure, so its unit stays photons per
    second. Passes are put together as sums of counts over sums of exposures, which is the most
    likely rate for Poisson counts.

    Parameters
    ----------
    energies : array_like [nE]
        Excitation energies (eV) of one pass.
    bins : Bins
        Emission bins of the spectra.
    passes : int
        How many passes there will be.
    flux : float, optional
        Monitor counts per second to normalise to, so that runs can be compared; the mean of this
        run where it is not given.

    Raises
    ------
    ValueError
        No energies or not finite, no pass, or a flux that is not above 0.
    """

    def map(self, passes: Passes = None, *, elastic_mask: float | None = None) -> RixsMapResult:
        """Excitation x emission map ``R = N / exposure``.

        Parameters
        ----------
        passes : int, iterable of int or None
            Which passes, from 0; all by default.
        elastic_mask : float, optional
            Leave out emission energies closer than this to the excitation energy (eV).

        Raises
        ------
        ValueError
            There is no such pass, or the mask is negative.
        """
        counts, exposure, relative, part = self.summed(passes)
        total = np.where(exposure > 0, exposure, np.nan)[:, None]
        rate = counts / total
        sigma = _sigma(counts, rate, total, relative[:, None])
        coverage = np.broadcast_to(part[:, None], counts.shape)
        if elastic_mask is not None:
            near = ~self._kept(elastic_mask)
            coverage = coverage.copy()
            counts[near] = coverage[near] = 0
            rate[near] = sigma[near] = np.nan
        return RixsMapResult(self.energies, self.bins, rate, sigma, counts, coverage)

    def yields(
        self,
        window: Window | str,
        passes: Passes = None,
        *,
        elastic_mask: float | None = None,
        own_absorption: ArrayLike | None = None,
    ) -> Yield:
        """TFY, PFY, sPFY or iPFY over the excitation energy.

        ``PFY = sum N / exposure`` over the bins of the window; TFY over all bins; sPFY is a PFY
        around one feature. ``iPFY = mu_s / PFY`` with ``sigma = mu_s sigma_PFY / PFY²``: for a
        thick flat sample it is linear in the total absorption, with an offset, where ``mu_s`` is
        the own absorption of the channel's shell (Achkar et al., Sci. Rep. 1, 182 (2011)).

        Parameters
        ----------
        window : Window or str
            Its limits are moved to the nearest edges of bins; the result says which they are.
        passes : int, iterable of int or None
            Which passes, from 0; all by default.
        elastic_mask : float, optional
            Leave out emission energies closer than this to the excitation energy (eV). The sum is
            then over the bins that are left, and `Yield.coverage` says which part they are; NaN
            where none is.
        own_absorption : array_like [nE], optional
            For iPFY: mu_s, relative to its mean; taken as flat where it is not given.

        Raises
        ------
        ValueError
            The own absorption has another length or is given for another kind of window; the
            window is one of excitation (XES), or reaches beyond the spectra; there is no
            such pass; the mask is negative.
        """
        window = Window.parse(window) if isinstance(window, str) else window
        part_of = window.slice(self.bins)
        counts, exposure, relative, measured = self.summed(passes)
        if elastic_mask is None:
            n, coverage = counts[:, part_of].sum(axis=1), measured
        else:
            keep = self._kept(elastic_mask)[:, part_of]
            n = np.where(keep, counts[:, part_of], 0).sum(axis=1)
            coverage = measured * keep.mean(axis=1)
        total = np.where((exposure > 0) & (coverage > 0), exposure, np.nan)
        value = n / total
        sigma = _sigma(n, value, total, relative)
        refused = np.zeros(len(n), dtype=bool)
        reason = ""
        if window.kind == "iPFY":
            refused = np.isfinite(value) & (n < MIN_COUNTS)
            value, sigma = _inverse(value, sigma, refused)
            if own_absorption is not None:
                own = np.asarray(own_absorption, np.float64)
                if own.shape != value.shape:
                    raise ValueError(
                        f"own_absorption has shape {own.shape}; expected {value.shape}"
                    )
                value, sigma = value * own, sigma * own
            if refused.any():
                reason = f"fewer than {MIN_COUNTS} photons in the window"
        elif own_absorption is not None:
            raise ValueError(f"own_absorption is for iPFY, not for window {window}")
        return Yield(
            window.snapped(self.bins), self.energies, value, sigma, n, coverage, refused, reason
        )

    def xes(
        self,
        window: Window | str,
        passes: Passes = None,
        *,
        elastic_mask: float | None = None,
    ) -> EmissionSpectrum:
        """Emission spectrum over a range of excitation energies: ``sum N / sum exposure``.

        Parameters
        ----------
        window : Window or str
            Of kind XES; both limits belong to the range.
        passes : int, iterable of int or None
            Which passes, from 0; all by default.
        elastic_mask : float, optional
            Leave out, at each excitation, emission energies closer than this to it (eV).

        Raises
        ------
        ValueError
            The window is of another kind or holds none of the energies; there is no such pass;
            the mask is negative.
        """
        window = Window.parse(window) if isinstance(window, str) else window
        if not window.in_excitation:
            raise ValueError(f"window {window} is a range of emission, not of excitation energy")
        rows = (self.energies >= window.low) & (self.energies <= window.high)
        if not rows.any():
            raise ValueError(
                f"window {window} holds none of the excitation energies of "
                f"{self.energies.min():g} to {self.energies.max():g} eV"
            )
        counts, exposure, relative, measured = self.summed(passes)
        keep = self._kept(elastic_mask)[rows]
        weight = np.where(keep, exposure[rows, None], 0.0)
        total = weight.sum(axis=0)
        total[total == 0] = np.nan
        n = np.where(keep, counts[rows], 0).sum(axis=0)
        value = n / total
        shared = (weight**2 * relative[rows, None]).sum(axis=0) / total**2
        sigma = _sigma(n, value, total, shared)
        coverage = np.where(keep, measured[rows, None], 0.0).mean(axis=0)
        return EmissionSpectrum(window, self.bins, self.energies[rows], value, sigma, n, coverage)

    def _kept(self, elastic_mask: float | None) -> NDArray[np.bool_]:
        """Cells that are not near the elastic line, [nE, nb]."""
        shape = self.spectra.shape[1:]
        if elastic_mask is None:
            return np.broadcast_to(np.True_, shape)
        if not (math.isfinite(elastic_mask) and elastic_mask >= 0):
            raise ValueError(f"elastic_mask = {elastic_mask} eV, but must be at least 0 eV")
        return np.abs(self.bins.centers[None, :] - self.energies[:, None]) >= elastic_mask


def _sigma(counts: NDArray, rate: Array, exposure: Array, relative: Array) -> Array:
    """Standard deviation of a rate: counting (one count at least) and the monitor."""
    variance = np.maximum(counts, 1) / exposure**2
    if relative.any():
        variance += rate * rate * relative
    return np.sqrt(variance, out=variance)


def _inverse(value: Array, sigma: Array, refused: NDArray[np.bool_]) -> tuple[Array, Array]:
    positive = np.where(refused | ~(value > 0), np.nan, value)
    return 1.0 / positive, sigma / positive**2
