"""Gain curves: energy as a polynomial of pulse height, fitted to lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ORDER", "energy_of", "fit_gain", "rises", "slope_of"]

ORDER = 4
"""Terms of a gain curve: energy = h·(g0 + g1·h + g2·h² + g3·h³)."""

# How far the relative gain may bend (prior standard deviation), by power of h/h_top: measured
# curves change by 10-20 % over the range, nearly linearly.
BEND = np.array([np.inf, 0.5, 0.15, 0.08])


def energy_of(gain: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Energies (eV) at pulse heights; `gain` [..., ORDER] against `height` [..., n]."""
    g = np.asarray(gain, float)[..., None, :]
    h = np.asarray(height, float)
    return h * (g[..., 0] + h * (g[..., 1] + h * (g[..., 2] + h * g[..., 3])))


def slope_of(gain: ArrayLike, height: ArrayLike) -> NDArray[np.float64]:
    """Derivative of the energy by pulse height (eV per unit)."""
    g0, g1, g2, g3 = np.asarray(gain, float)
    h = np.asarray(height, float)
    return g0 + h * (2 * g1 + h * (3 * g2 + h * 4 * g3))


def fit_gain(
    height: NDArray[np.float64],
    energy: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Gain curve through lines, weighted, bending no more than such curves do.

    Parameters
    ----------
    height, energy, sigma : numpy.ndarray [n]
        Pulse heights, energies (eV) and their standard uncertainties (eV); at least 2.

    Returns
    -------
    numpy.ndarray [ORDER]
        Coefficients by rising power.
    """
    top = float(height.max())
    x = height / top
    design = x[:, None] ** np.arange(1, ORDER + 1)
    # The prior is on the gain relative to its own size: energy / height at the top.
    prior = (BEND * float(energy[np.argmax(height)])) ** -2
    weighted = design / (sigma**2)[:, None]
    coefficients = np.linalg.solve(weighted.T @ design + np.diag(prior), weighted.T @ energy)
    return coefficients / top ** np.arange(1, ORDER + 1)


def rises(gain: ArrayLike, low: float, high: float) -> bool:
    """Whether the energy rises with the pulse height all the way from `low` to `high`."""
    return bool((slope_of(gain, np.linspace(low, high, 64)) > 0).all())
