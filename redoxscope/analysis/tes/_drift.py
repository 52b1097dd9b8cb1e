"""Gain drift: pulse heights change with the mean of the record before the pulse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["drift_by_entropy", "drift_by_lines", "shrink"]


def drift_by_entropy(
    filtered: NDArray[np.float64],
    pretrigger: NDArray[np.float64],
    limit: float = 3e-4,
    kernel: float = 0.0025,
) -> float:
    """Drift slope that makes the distribution of pulse heights sharpest (least entropy).

    Needs no calibration.

    Parameters
    ----------
    filtered, pretrigger : numpy.ndarray [n]
        Pulse heights (positive), and pretrigger means less their reference (arbitrary units).
    limit : float
        Largest slope looked for (relative, per unit of pretrigger mean), either sign.
    kernel : float
        Smoothing, relative to the pulse height.

    Returns
    -------
    float
        Relative change of the gain per unit of pretrigger mean; 0 where there is too little to
        say.
    """
    spread = float(np.std(pretrigger))
    if len(filtered) < 50 or spread == 0:
        return 0.0
    # Beyond this slope the correction would be larger than the pulse heights differ.
    limit = min(limit, 0.05 / spread)
    log = np.log(filtered)
    step = kernel / 2
    bottom = log.min() - 0.3

    def entropy(slope: float) -> float:
        x = (log + np.log1p(np.maximum(slope * pretrigger, -0.2)) - bottom) / step
        n = gaussian_filter1d(np.bincount(np.maximum(x, 0).astype(int)).astype(float), 2.0)
        n = n[n > 1e-9]
        return float(-(n * np.log(n)).sum())

    width = limit
    best = 0.0
    for points in (41, 9, 9):
        grid = best + np.linspace(-width, width, points)
        best = float(grid[np.argmin([entropy(s) for s in grid])])
        width = 2 * width / (points - 1)
    return best


def drift_by_lines(
    energy: NDArray[np.float64],
    pretrigger: NDArray[np.float64],
    lines: NDArray[np.float64],
    half_width: float,
) -> tuple[float, float]:
    """What drift is left in calibrated energies, from the photons of the lines.

    Parameters
    ----------
    energy, pretrigger : numpy.ndarray [n]
        Energies (eV), and pretrigger means less their reference (arbitrary units).
    lines : numpy.ndarray [m]
        Where the lines are in these energies (eV).
    half_width : float
        Photons nearer than this to a line count (eV).

    Returns
    -------
    slope, sigma : float
        Change to make to the drift slope, and its standard uncertainty; (0, inf) where there is
        too little to say.
    """
    if not len(lines):
        return 0.0, np.inf
    nearest = lines[np.abs(energy[:, None] - lines).argmin(1)]
    slope = 0.0
    sigma = np.inf
    for _ in range(3):
        corrected = energy * (1 + slope * pretrigger)
        r = corrected - nearest
        near = np.abs(r) < half_width
        if near.sum() < 30:
            return 0.0, np.inf
        x, y = (nearest * pretrigger)[near], r[near]
        group = np.searchsorted(lines, nearest[near])
        x = x - _mean_by(group, x)[group]
        y = y - _mean_by(group, y)[group]
        power = float((x * x).sum())
        if power == 0:
            return 0.0, np.inf
        slope -= float((x * y).sum()) / power
        sigma = float(np.std(y)) / np.sqrt(power)
    return slope, sigma


def _mean_by(group: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    n = np.bincount(group)
    return np.bincount(group, x) / np.maximum(n, 1)


def shrink(
    values: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pull uncertain values towards what the others say, by how much they really scatter.

    Parameters
    ----------
    values, sigmas : numpy.ndarray [n]
        Values and their standard uncertainties; infinite where not measured.

    Returns
    -------
    values, sigmas : numpy.ndarray [n]
    """
    known = np.isfinite(sigmas) & (sigmas > 0)
    if known.sum() < 3:
        return np.where(known, values, 0.0), sigmas
    centre = float(np.median(values[known]))
    scatter = 1.4826 * float(np.median(np.abs(values[known] - centre)))
    own = max(scatter**2 - float(np.median(sigmas[known])) ** 2, (0.1 * scatter) ** 2)
    if own == 0:
        return np.where(known, values, centre), sigmas
    weight = np.where(known, own / (own + np.where(known, sigmas, 0.0) ** 2), 0.0)
    better = centre + weight * (np.where(known, values, centre) - centre)
    return better, np.sqrt(weight) * np.where(known, sigmas, 1.0)
