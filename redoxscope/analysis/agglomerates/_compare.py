"""Fractions inside and outside agglomerates, at one thickness, and near their edge and deep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number, as_numbers
from ._found import Agglomerates, as_map

__all__ = ["Comparison", "Difference", "Mean", "compare"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BINS = 8
FEWEST_BLOCKS = 3
"""Patches that a mean needs before its standard error says anything."""
BLOCK = 4.0
"""Side of a patch in pixels, where nobody says it."""


@dataclass(frozen=True)
class Mean:
    """Weighted mean of a fraction over some pixels.

    Attributes
    ----------
    value : float
        NaN where there are no pixels.
    sigma : float
        Its weighted standard error, neighbours' correlation included; NaN of fewer than 3 patches.
    pixels : int
    """

    value: float
    sigma: float
    pixels: int

    def __repr__(self) -> str:
        return f"{self.value:.3f} ± {self.sigma:.3f} ({self.pixels} pixels)"


@dataclass(frozen=True)
class Difference:
    """One mean less another.

    Attributes
    ----------
    value, sigma : float
        NaN where one of the two is not known.
    """

    value: float
    sigma: float

    def __repr__(self) -> str:
        return f"{self.value:+.3f} ± {self.sigma:.3f} ({self.significance:+.1f} σ)"

    @property
    def significance(self) -> float:
        """In standard deviations."""
        return self.value / self.sigma if self.sigma > 0 else math.nan

    @classmethod
    def of(cls, one: Mean, other: Mean) -> Difference:
        """``one`` less ``other``, of different pixels."""
        return cls(one.value - other.value, math.hypot(one.sigma, other.sigma))


@dataclass(frozen=True)
class Comparison:
    """What agglomerates say of a map; means are of the fraction that was given.

    Attributes
    ----------
    thickness : numpy.ndarray [n + 1]
        Edges of the bins of thickness.
    inside, outside : tuple of Mean [n]
        Of each bin.
    at_thickness : tuple of Difference [n]
        Inside less outside, in each bin.
    at_fixed_thickness : Difference
        Their mean: what does not come from the thickness.
    exterior, interior : tuple of Mean
        Of each agglomerate: nearer to its outline than ``rim``, and deeper.
    exterior_less_interior : tuple of Difference
        Of each agglomerate, at fixed thickness too.
    ensemble : Difference
        Their mean over the agglomerates, with what they scatter beyond their σ.
    rim, block : float
        µm.
    """

    thickness: Array
    inside: tuple[Mean, ...]
    outside: tuple[Mean, ...]
    at_thickness: tuple[Difference, ...]
    at_fixed_thickness: Difference
    exterior: tuple[Mean, ...]
    interior: tuple[Mean, ...]
    exterior_less_interior: tuple[Difference, ...]
    ensemble: Difference
    rim: float
    block: float

    def __repr__(self) -> str:
        return (
            f"<Comparison: inside less outside at fixed thickness {self.at_fixed_thickness}; "
            f"exterior less interior {self.ensemble}>"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for a summary."""
        return {
            "inside_less_outside": self.at_fixed_thickness.value,
            "inside_less_outside_sigma": self.at_fixed_thickness.sigma,
            "exterior_less_interior": self.ensemble.value,
            "exterior_less_interior_sigma": self.ensemble.sigma,
            "agglomerates": len(self.exterior),
            "rim_um": self.rim,
            "block_um": self.block,
        }


def compare(
    fraction: ArrayLike,
    sigma: ArrayLike,
    thickness: ArrayLike,
    found: Agglomerates,
    *,
    rim: float,
    edges: Sequence[float] | None = None,
    block: float | None = None,
) -> Comparison:
    """Compare a fraction inside and outside agglomerates, and near their edge and deep in them.

    Parameters
    ----------
    fraction, sigma, thickness : array_like of float [ny, nx]
        Map, its standard deviation and how much there is; NaN where there is no value.
    found : Agglomerates
    rim : float
        How far the exterior reaches in from the outline (µm).
    edges : sequence of float, optional
        Of the bins of thickness, rising; by default eight bins with as many pixels each.
    block : float, optional
        Side (µm) of the patches whose pixels count as correlated, by blur and since a primary
        particle is of one piece; 4 pixels where not given.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        The maps differ in shape, a length is not positive, edges do not rise, or no pixel has a
        value.

    Notes
    -----
    A pixel's weight is its thickness times the group's median of 1/(σ² thickness): 1/σ² but for
    the pixel's own noise, which raises fraction and thickness together and would bias the mean.
    The standard error is that of patches: ``sqrt(n/(n-1) Σ_b (Σ_i w_i (f_i - m))²) / Σ w`` over
    n patches b (A. C. Cameron, D. L. Miller, J. Human Resources 50 (2015) 317, section II), or
    that of counting where this is larger. The mean of several differences is with weights
    1/(σ² + τ²), τ² their scatter beyond σ (R. DerSimonian, N. Laird, Control. Clin. Trials 7
    (1986) 177).
    """
    f = as_map("fraction", fraction, found.material.shape)
    s = as_map("sigma", sigma, f.shape)
    t = as_map("thickness", thickness, f.shape)
    rim = as_number("rim", rim, "µm", above=0)
    block = as_number("block", BLOCK * found.pixel if block is None else block, "µm", above=0)
    with np.errstate(invalid="ignore"):
        good = found.material & np.isfinite(f) & (s > 0) & np.isfinite(s) & (t > 0)
    if not good.any():
        raise ValueError("no pixel of a particle has a value with its sigma")
    limits = _edges(t[good], edges)
    rows, columns = np.indices(f.shape) * (found.pixel / block)
    patch = rows.astype(np.intp) * (int(columns.max()) + 1) + columns.astype(np.intp)

    def mean(where: Mask) -> Mean:
        use = good & where
        return _mean(f[use], s[use], t[use], patch[use])

    within = found.inside
    bins = [(t >= low) & (t < high) for low, high in zip(limits, limits[1:], strict=False)]
    bins[-1] |= t == limits[-1]
    inside = tuple(mean(one & within) for one in bins)
    outside = tuple(mean(one & ~within) for one in bins)
    by_bin = tuple(Difference.of(a, b) for a, b in zip(inside, outside, strict=True))
    exterior = tuple(mean(one.mask & (one.depth < rim)) for one in found.found)
    interior = tuple(mean(one.mask & (one.depth >= rim)) for one in found.found)

    def fixed(where: Mask, one: Mask) -> Difference:
        use = good & where
        of_bins = [each[use] for each in bins]
        return _at_fixed_thickness(f[use], s[use], t[use], patch[use], of_bins, one[use])

    pairs = tuple(fixed(one.mask, one.depth < rim) for one in found.found)
    return Comparison(
        limits, inside, outside, by_bin, fixed(np.ones_like(good), within), exterior, interior,
        pairs, _together(pairs), rim, block,
    )  # fmt: skip


def _edges(values: Array, edges: Sequence[float] | None) -> Array:
    if edges is None:
        found = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
        return found if len(found) > 1 else np.array([found[0], np.nextafter(found[0], np.inf)])
    found = np.array(as_numbers("edges", edges, ""))
    if len(found) < 2 or (np.diff(found) <= 0).any():
        raise ValueError(f"edges = {list(found)!r:.80} must rise, and be two at least")
    return found


def _mean(f: Array, s: Array, t: Array, patch: NDArray[np.intp]) -> Mean:
    """Weighted mean, and its standard error over patches."""
    n = len(f)
    if not n:
        return Mean(math.nan, math.nan, 0)
    w = _weights(s, t)
    total = float(w.sum())
    value = float((w * f).sum() / total)
    _, at = np.unique(patch, return_inverse=True)
    parts = np.bincount(at, w * (f - value))
    blocks = len(parts)
    if blocks < FEWEST_BLOCKS:
        return Mean(value, math.nan, n)
    scatter = math.sqrt(blocks / (blocks - 1) * float((parts**2).sum())) / total
    counting = math.sqrt(float(((w * s) ** 2).sum())) / total
    return Mean(value, max(scatter, counting), n)


def _at_fixed_thickness(
    f: Array, s: Array, t: Array, patch: NDArray[np.intp], bins: Sequence[Mask], one: Mask
) -> Difference:
    """Mean over bins of thickness of the pixels in ``one`` less the others; all arrays [pixels].

    A primary particle has pixels in several bins: the standard error is that of the patches of
    the whole sum, not of bins that would be independent.
    """
    parts, share, values = [], [], []
    for each in bins:
        groups = [np.flatnonzero(each & one), np.flatnonzero(each & ~one)]
        n, m = (len(group) for group in groups)
        if not n or not m:
            continue
        influence = np.zeros(len(f))
        means = []
        for sign, group in zip((1.0, -1.0), groups, strict=True):
            w = _weights(s[group], t[group])
            w /= w.sum()
            means.append(float(w @ f[group]))
            influence[group] = sign * w * (f[group] - means[-1])
        parts.append(influence)
        values.append(means[0] - means[1])
        share.append(n * m / (n + m))  # N. Mantel, W. Haenszel, 1959
    if not parts:
        return Difference(math.nan, math.nan)
    weight = np.array(share) / sum(share)
    whole = np.tensordot(weight, np.array(parts), 1)
    used = whole != 0
    _, at = np.unique(patch[used], return_inverse=True)
    if at.max(initial=-1) + 1 < 2 * FEWEST_BLOCKS:
        return Difference(float(weight @ values), math.nan)
    sums = np.bincount(at, whole[used])
    sigma = math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum()))
    return Difference(float(weight @ values), sigma)


def _weights(s: Array, t: Array) -> Array:
    return np.asarray(t * float(np.median(1.0 / (s**2 * t))))


def _together(differences: Sequence[Difference]) -> Difference:
    """Mean of differences that scatter by more than their σ, perhaps."""
    known = [one for one in differences if math.isfinite(one.value) and one.sigma > 0]
    if not known:
        return Difference(math.nan, math.nan)
    values = np.array([one.value for one in known])
    variance = np.array([one.sigma for one in known]) ** 2
    w = 1.0 / variance
    spread = float((w * (values - (w * values).sum() / w.sum()) ** 2).sum())
    scale = float(w.sum() - (w**2).sum() / w.sum())
    between = max(0.0, (spread - (len(known) - 1)) / scale) if len(known) > 1 else 0.0
    w = 1.0 / (variance + between)
    return Difference(float((w * values).sum() / w.sum()), float(1.0 / math.sqrt(w.sum())))
