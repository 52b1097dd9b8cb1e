"""Gain curves: energy as a polynomial of pulse height, fitted to lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BEND", "ORDER", "energy_of", "fit_gain", "rises", "shapes_at", "slope_of"]

ORDER = 4
"""Terms of a gain curve: energy = h·(g0 + g1·h + g2·h² + g3·h³)."""

SHAPES = np.array([[1, -1, 1, -1], [0, 2, -6, 12], [0, 0, 6, -30], [0, 0, 0, 20]], float)
"""Legendre's polynomials on 0 to 1, one a column, by rising power of x = h / h_top. A bend is a
multiple of one of them. Powers of x are no measure of it: over the range of the lines they are
nearly the same curve, and a gentle bend is the difference of large coefficients."""
BEND = np.array([np.inf, 0.5, 0.1, 0.08])
"""How far the relative gain (energy / height) of an array may bend, by shape, as a prior standard
deviation. Measured pixels: 0.01 to 0.24, -0.03 to 0.06, -0.01 to 0.06."""
CHANGE = np.array([0.1, 0.03, 0.01, 0.005])
"""The same for the difference from a curve known before."""


def energy_of(gain: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Energies (eV) at pulse heights, by the coefficients of a gain curve [ORDER]."""
    g0, g1, g2, g3 = np.asarray(gain, float)
    h = np.asarray(height, float)
    return np.asarray(h * (g0 + h * (g1 + h * (g2 + h * g3))))


def slope_of(gain: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Derivative of the energy by pulse height (eV per unit)."""
    g0, g1, g2, g3 = np.asarray(gain, float)
    h = np.asarray(height, float)
    return g0 + h * (2 * g1 + h * (3 * g2 + h * 4 * g3))


def shapes_at(height: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """Energy that each shape gives at pulse heights, over that at `top`, [n, ORDER]."""
    return np.asarray(((height / top)[:, None] ** np.arange(1, ORDER + 1)) @ SHAPES)


def fit_gain(
    height: NDArray[np.float64],
    energy: NDArray[np.float64],
    sigma: NDArray[np.float64],
    around: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Gain curve through lines, weighted, bending no more than such curves do.

    Parameters
    ----------
    height, energy, sigma : numpy.ndarray [n]
        Pulse heights, energies (eV) and their standard uncertainties (eV); at least 2.
    around : numpy.ndarray [ORDER], optional
        A curve known before: the new one differs from it by little where the lines do not say.

    Returns
    -------
    numpy.ndarray [ORDER]
        Coefficients by rising power.
    """
    top = float(height.max())
    design = shapes_at(height, top)
    to_power = SHAPES / (top ** np.arange(1, ORDER + 1))[:, None]
    known = np.zeros(ORDER) if around is None else np.linalg.solve(to_power, around)
    # The prior is on the gain relative to its own size: energy / height at the top.
    allowed = BEND if around is None else CHANGE
    prior = (allowed * float(energy[np.argmax(height)])) ** -2
    weighted = design / (sigma**2)[:, None]
    shapes = known + np.linalg.solve(
        weighted.T @ design + np.diag(prior), weighted.T @ (energy - design @ known)
    )
    return np.asarray(to_power @ shapes)


def rises(gain: ArrayLike, low: float, high: float) -> bool:
    """Whether the energy rises with the pulse height all the way from `low` to `high`."""
    return bool((slope_of(gain, np.linspace(low, high, 64)) > 0).all())
