"""Is a feature of the map there?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from redoxscope.documents import Window

from ._counts import MIN_COUNTS, RixsCounts
from ._point_counts import Passes

__all__ = ["FeatureSignificance", "feature_significance"]

Range = tuple[float, float]


@dataclass(frozen=True)
class FeatureSignificance:
    """How far the photons of a feature exceed what the rest of the PFY predicts.

    Attributes
    ----------
    significance : float
        In standard deviations; normally distributed around 0 where there is no feature. NaN where
        it cannot be said.
    excess, excess_sigma : float
        Photons above the prediction, and the standard deviation.
    predicted : float
        Photons in the window without a feature.
    counts : int
        Photons in the window at the feature's excitation energies.
    profile, profile_sigma : numpy.ndarray [nE]
        Excess at each excitation energy in photons per second at the mean flux, and its standard
        deviation; NaN where it cannot be said.
    excitation : (float, float)
        Excitation energies (eV) at which the feature was looked for: the profile is an excess of
        the feature there, and elsewhere whatever else changes the shape of the emission.
    reason : str
        Why it cannot be said; empty where it can.
    """

    significance: float
    excess: float
    excess_sigma: float
    predicted: float
    counts: int
    profile: NDArray[np.float64]
    profile_sigma: NDArray[np.float64]
    excitation: tuple[float, float]
    reason: str = ""

    @property
    def found(self) -> bool:
        """At 5 standard deviations or more."""
        return self.significance >= 5


def feature_significance(
    counts: RixsCounts,
    window: Window | str,
    pfy: Window | str,
    excitation: Range,
    *,
    reference: Sequence[Range] | None = None,
    elastic_mask: float = 0.0,
    passes: Passes = None,
) -> FeatureSignificance:
    """Excess of a super-partial yield over what the rest of the partial yield predicts.

    Without a feature the emission has the same shape at the feature's excitation energies as at
    the reference ones, so the window's share of the PFY is the same: of a table of photons (in
    the window, in the rest of the PFY) x (at the feature, at the reference) rows and columns are
    independent. The significance is the signed root of the likelihood ratio,
    ``z = ±sqrt(2 sum N ln(N / expected))`` (S. S. Wilks, Ann. Math. Statist. 9, 60 (1938)).
    Fluctuations of I0 and of the self-absorption common to the PFY drop out. Whether
    the shape really is the same is for the choice of the reference to see to: it should lie near
    the feature and have the same initial and final states.

    Parameters
    ----------
    counts : RixsCounts
    window : Window or str
        Around the feature (emission energy).
    pfy : Window or str
        Holds the window.
    excitation : (float, float)
        Where the feature shows (eV), limits included.
    reference : sequence of (float, float), optional
        Excitation energies without it (eV); all others by default.
    elastic_mask : float
        Emission energies closer than this (eV) to an excitation energy of the feature or of the
        reference are left out everywhere. Without `reference`, only those near the feature's are,
        and other excitation energies whose elastic line comes near to what is left are not used.
    passes : int, iterable of int or None
        Which passes; all by default.

    Returns
    -------
    FeatureSignificance
        NaN and a reason where there are too few photons to say.

    Raises
    ------
    ValueError
        A window is one of excitation or reaches beyond the spectra; the PFY does not hold the
        window; none of the energies lies in the range of excitation.
    """
    spot, whole = (Window.parse(w) if isinstance(w, str) else w for w in (window, pfy))
    inner, outer = spot.slice(counts.bins), whole.slice(counts.bins)
    if not outer.start <= inner.start < inner.stop <= outer.stop:
        raise ValueError(f"window {whole} does not hold the window {spot}")
    energies = counts.energies
    on = _within(energies, [excitation])
    if not on.any():
        raise ValueError(
            f"none of the excitation energies of {energies.min():g} to {energies.max():g} eV lies "
            f"in {excitation[0]:g} to {excitation[1]:g} eV"
        )
    off = ~on if reference is None else _within(energies, reference) & ~on
    centers = counts.bins.centers
    lines = energies[on] if reference is None else energies[on | off]
    far = _distance(centers, lines) >= elastic_mask
    in_window = np.zeros(len(centers), dtype=bool)
    in_window[inner] = far[inner]
    rest = np.zeros(len(centers), dtype=bool)
    rest[outer] = far[outer]
    rest[inner] = False
    clear = _distance(energies, centers[rest | in_window]) >= elastic_mask
    photons, exposure, _, coverage = counts.summed(passes)
    a = photons[:, in_window].sum(axis=1)
    b = photons[:, rest].sum(axis=1)
    on &= coverage > 0
    off &= clear & (coverage > 0)
    table = np.array([[a[on].sum(), b[on].sum()], [a[off].sum(), b[off].sum()]], float)
    reason = _unfit(table, bool(in_window.any() and rest.any()), int(on.sum()), int(off.sum()))
    if reason:
        nan = np.full(len(energies), np.nan)
        return FeatureSignificance(
            math.nan, math.nan, math.nan, math.nan, int(table[0, 0]), nan, nan, excitation, reason
        )
    (a_on, b_on), (a_off, b_off) = table
    ratio = a_off / b_off
    relative = 1 / a_off + 1 / b_off if a_off else 1 / b_off
    predicted = b_on * ratio
    excess = a_on - predicted
    sigma = math.sqrt(a_on + ratio**2 * b_on + predicted**2 * relative)
    exposure = np.where(clear & (exposure > 0), exposure, np.nan)
    profile = (a - b * ratio) / exposure
    profile_sigma = (
        np.sqrt(np.maximum(a, 1) + ratio**2 * b + (b * ratio) ** 2 * relative) / exposure
    )
    return FeatureSignificance(
        math.copysign(_root_likelihood_ratio(table), excess),
        excess,
        sigma,
        predicted,
        int(a_on),
        profile,
        profile_sigma,
        excitation,
    )


def _within(energies: NDArray[np.float64], ranges: Sequence[Range]) -> NDArray[np.bool_]:
    inside = np.zeros(len(energies), dtype=bool)
    for low, high in ranges:
        inside |= (energies >= low) & (energies <= high)
    return inside


def _distance(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each value to the nearest of the others; infinite where there are none."""
    if not len(others):
        return np.full(len(values), np.inf)
    return np.abs(values[:, None] - others[None, :]).min(axis=1)


def _unfit(table: NDArray[np.float64], bins_left: bool, n_on: int, n_off: int) -> str:
    """Why nothing can be said, or an empty string."""
    if not bins_left:
        return "the mask on the elastic line leaves nothing of the window or of the rest"
    if not n_on or not n_off:
        return f"no {'reference' if n_on else 'point at the feature'} measured yet"
    smallest = table.sum(axis=1)[:, None] * table.sum(axis=0) / max(table.sum(), 1.0)
    if smallest.min() < MIN_COUNTS:
        return (
            f"{smallest.min():.0f} photons expected in the window or the rest; "
            f"at least {MIN_COUNTS} needed"
        )
    return ""


def _root_likelihood_ratio(table: NDArray[np.float64]) -> float:
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / table.sum()
    return math.sqrt(max(0.0, 2 * float(xlogy(table, table / expected).sum())))
