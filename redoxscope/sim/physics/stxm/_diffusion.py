"""Vacancy diffusion into a sphere: how far the reduction has gone."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["sphere_profile", "sphere_uptake"]

Array = NDArray[np.float64]


def _terms(theta: float) -> Array:
    # exp(-n² π² θ) is below 1e-12 beyond the last term kept
    return np.arange(1, int(np.ceil(np.sqrt(28.0 / (np.pi**2 * theta)))) + 2, dtype=float)


def _check(theta: float) -> float:
    if not 1e-5 <= theta < np.inf:
        raise ValueError(f"D·t/a² = {theta:g} must be at least 1e-5 and finite (no unit)")
    return float(theta)


def sphere_profile(r_over_a: ArrayLike, theta: float) -> Array:
    """Relative concentration in a sphere whose surface is held at 1, from 0 at the start.

    Parameters
    ----------
    r_over_a : array_like
        Distance from the centre over the radius, 0..1.
    theta : float
        D t / a² (no unit).

    Returns
    -------
    ndarray
        0..1, the shape of `r_over_a`.

    Raises
    ------
    ValueError
        `theta` is not at least 1e-5 (where the series needs hundreds of terms), or NaN.

    Notes
    -----
    J. Crank, The Mathematics of Diffusion, 2nd ed. (1975), eq. 6.18.
    """
    n = _terms(_check(theta))
    r = np.asarray(r_over_a, dtype=float)
    # sin(n π r) / (π r) = n sinc(n r), which is finite at the centre
    weight = (-1.0) ** n * np.exp(-((n * np.pi) ** 2) * theta)
    out = 1 + 2 * np.tensordot(np.sinc(np.multiply.outer(r, n)), weight, axes=(-1, 0))
    return np.asarray(np.clip(out, 0.0, 1.0))


def sphere_uptake(theta: float) -> float:
    """Mean relative concentration of the sphere, Mt / M∞ (Crank eq. 6.20).

    Raises
    ------
    ValueError
        As :func:`sphere_profile`.
    """
    n = _terms(_check(theta))
    return float(1 - 6 / np.pi**2 * np.sum(np.exp(-((n * np.pi) ** 2) * theta) / n**2))


@cache
def _table(step: int) -> Array:
    return sphere_profile(_R, 10.0 ** (step / _PER_DECADE))


_PER_DECADE = 20
_R = np.linspace(0.0, 1.0, 129)


def profile_table(theta: float) -> tuple[Array, Array]:
    """Radii (over a) and profile for linear interpolation, theta rounded to 12 %."""
    return _R, _table(round(np.log10(_check(theta)) * _PER_DECADE))
