"""The map of a stack of optical densities whose standard deviations are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._checks import check_design, check_limits
from ._result import OxidationResult, PixelFlag
from ._solve import HIGH_OD, Solver, scaled_condition

__all__ = ["map_of_od"]

Array = NDArray[np.float64]


def map_of_od(
    design: ArrayLike,
    species: int,
    od: ArrayLike,
    sigma: ArrayLike,
    *,
    zero_variance: ArrayLike | None = None,
    min_thickness: float = 0.0,
    max_od: float | None = None,
) -> OxidationResult:
    """Fit a stack of optical densities, as a reconstruction gives it, in place of counts.

    The same least squares and the same covariance as of `StackFit`: an energy has one weight for
    all pixels, here the inverse of its median variance, and each pixel's own variances go into the
    sandwich, which is right whatever the weights.

    Parameters
    ----------
    design : array_like [nE, K+1]
        Absorption of the species at each energy, in columns, then a constant.
    species : int
        Leading columns that are species; the first is the one whose fraction is mapped.
    od, sigma : array_like [nE, ny, nx]
        Optical density and its standard deviation; NaN where there is none. A pixel without one at
        any energy has no value.
    zero_variance : array_like [nE], optional
        Variance of the zero of each energy's optical density, which all pixels share.
    min_thickness : float
        Thinner pixels are not in the mask; unit of ``thickness``.
    max_od : float, optional
        Pixels above this optical density at any energy are not in the mask.

    Returns
    -------
    OxidationResult
        ``ln_i0`` is 0 and ``ln_i0_sigma`` the root of `zero_variance`.

    Raises
    ------
    ValueError
        Shapes do not fit, a standard deviation is negative or 0, or the energies do not tell the
        species apart.
    """
    a = np.array(design, dtype=np.float64)
    check_design(a, species)
    y, s = (np.asarray(values, dtype=np.float64) for values in (od, sigma))
    if y.ndim != 3 or y.shape != s.shape or len(y) != len(a):
        raise ValueError(
            f"od has shape {y.shape} and sigma {s.shape}, but both must be [{len(a)} energies, ny, "
            "nx]"
        )
    shape = y.shape[1:]
    check_limits(shape, "blank", min_thickness, max_od)
    if (s <= 0).any():
        raise ValueError("sigma is 0 or negative somewhere: each optical density needs its own")
    zero = np.zeros(len(a)) if zero_variance is None else np.array(zero_variance, np.float64)
    if zero.shape != (len(a),) or not (zero >= 0).all():
        raise ValueError(f"zero_variance must be {len(a)} numbers of at least 0, one per energy")
    if scaled_condition(a) == float("inf"):
        raise ValueError(f"{len(a)} energies do not determine {a.shape[1]} coefficients")
    whole = (np.isfinite(y) & np.isfinite(s)).all(axis=0)
    variance = np.where(whole, s**2, np.nan)
    weight = np.ones(len(a))
    if whole.any():
        weight = 1.0 / np.nanmedian(variance.reshape(len(a), -1), axis=1)
        weight /= weight.max()
    solver = Solver(a, species, zero, weight)
    names = ("fraction", "sigma", "thickness", "thickness_sigma")
    maps: dict[str, Array] = {name: np.full(shape, np.nan) for name in (*names, "chi2")}
    flags = np.where(whole, 0, np.uint8(PixelFlag.INCOMPLETE)).astype(np.uint8)
    mask = np.zeros(shape, dtype=bool)
    coefficients = np.full((a.shape[1], *shape), np.nan)
    if solver.solvable and whole.any():
        inside, v = y[:, whole], variance[:, whole]
        c = solver.gain @ inside
        pairs = np.triu_indices(a.shape[1])
        products = a[:, pairs[0]] * a[:, pairs[1]] * weight[:, None] ** 2
        into = {name: np.empty(inside.shape[1]) for name in names}
        with np.errstate(divide="ignore", invalid="ignore"):
            solver.maps(c, products.T @ v, into)
        freedom = len(a) - a.shape[1]
        rest = ((inside - a @ c) ** 2 / v).sum(axis=0)
        for name in names:
            maps[name][whole] = into[name]
        maps["chi2"][whole] = rest / freedom if freedom > 0 else np.nan
        coefficients[:, whole] = c
        high = np.zeros(shape, dtype=bool)
        high[whole] = (inside > HIGH_OD).any(axis=0)
        flags[high] |= np.uint8(PixelFlag.HIGH_OD)
        with np.errstate(invalid="ignore"):
            mask = maps["thickness"] > np.fmax(5.0 * maps["thickness_sigma"], min_thickness)
        if max_od is not None:
            mask[whole] &= ~(inside > max_od).any(axis=0)
    for name in ("fraction", "sigma"):  # noise divided by noise is not a fraction
        maps[name] = np.where(mask, maps[name], np.nan)
    return OxidationResult(
        **maps, coefficients=coefficients, flags=flags, mask=mask,
        n_energies=np.full(shape[0], len(a), dtype=np.intp),
        ln_i0=np.zeros(len(a)), ln_i0_sigma=np.sqrt(zero), blank=None,
    )  # fmt: skip
