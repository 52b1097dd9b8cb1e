"""Where the hole of an aperture, or a detector, stands in the beam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erf

from ...inputs import as_numbers, axis_problem

__all__ = ["Aperture", "find_aperture"]

Array = NDArray[np.float64]

SIGNIFICANT = 10.0
"""Least contrast, in its standard deviations."""


@dataclass(frozen=True, eq=False)
class Aperture:
    """A bright disc in an image of an aperture or a detector.

    Attributes
    ----------
    x, y, x_sigma, y_sigma : float
        Its middle and the standard deviations (µm).
    diameter, diameter_sigma : float
        At half height (µm).
    blur : float
        Standard deviation of its edge (µm).
    chi2 : float
        Reduced; where it is above 1, sigmas are larger by its root.
    fitted : numpy.ndarray [ny, nx]
        Counts of the fit.
    """

    x: float
    y: float
    x_sigma: float
    y_sigma: float
    diameter: float
    diameter_sigma: float
    blur: float
    chi2: float
    fitted: Array

    def __str__(self) -> str:
        return (
            f"x {self.x:.2f} ± {self.x_sigma:.2f} µm, y {self.y:.2f} ± {self.y_sigma:.2f} µm, "
            f"diameter {self.diameter:.2f} ± {self.diameter_sigma:.2f} µm"
        )


def find_aperture(image: Any, x: Any, y: Any) -> Aperture:
    """Fit a disc with a soft edge to an image: where the beam goes through.

    Parameters
    ----------
    image : array_like [ny, nx]
        Counts; NaN where there are none.
    x, y : array_like [nx], [ny]
        Positions (µm), rising.

    Raises
    ------
    ValueError
        Wrong shapes; no bright disc stands out; or it reaches the edge of the image, so that its
        middle is not known.
    """
    counts = np.asarray(image, dtype=float)
    axes = [np.array(as_numbers(name, each, "µm")) for name, each in (("x", x), ("y", y))]
    for name, axis in zip("xy", axes, strict=True):
        problem = axis_problem(axis, "µm")
        if problem is not None or len(axis) < 5:
            raise ValueError(f"{name} {problem[1] if problem else 'has fewer than 5 positions'}")
    if counts.shape != (len(axes[1]), len(axes[0])):
        raise ValueError(
            f"image has shape {counts.shape}; expected ({len(axes[1])}, {len(axes[0])}): y, x"
        )
    known = np.isfinite(counts)
    if known.sum() < 25:
        raise ValueError(f"image has {known.sum()} pixels that were measured; too few for a disc")
    gx, gy = np.meshgrid(*axes)
    low, high = np.percentile(counts[known], [5, 98])
    noise = float(np.sqrt(max(high, 1.0)))
    if not high - low > SIGNIFICANT * noise / 2:
        raise ValueError(
            f"nothing bright stands out: counts from {low:.3g} to {high:.3g}, with a noise of "
            f"{noise:.3g}"
        )
    bright = known & (counts > (low + high) / 2)
    frame = np.zeros_like(bright)
    frame[[0, -1]], frame[:, [0, -1]] = True, True
    if (bright & frame).sum() > 0.1 * frame.sum():
        raise ValueError(
            "the bright disc reaches the edge of the image, so its middle is not known: take a "
            "larger image"
        )
    area = float(bright.sum()) * np.ptp(axes[0]) * np.ptp(axes[1]) / (counts.size - 1)
    start = [gx[bright].mean(), gy[bright].mean(), np.sqrt(area / np.pi)]
    step = float(min(np.diff(axes[0]).min(), np.diff(axes[1]).min()))
    sigma = np.sqrt(np.maximum(counts[known], 1.0))

    def model(p: Array) -> Array:
        away = np.hypot(gx - p[0], gy - p[1])
        return np.asarray(p[5] + p[4] / 2 * (1 - erf((away - p[2]) / (np.sqrt(2) * p[3]))))

    def misfit(p: Array) -> Array:
        return np.asarray((model(p) - counts)[known] / sigma)

    span = float(np.hypot(np.ptp(axes[0]), np.ptp(axes[1])))
    fit = least_squares(
        misfit,
        [*start, step, high - low, low],
        bounds=(
            [axes[0][0], axes[1][0], step / 4, step / 10, 0, 0],
            [axes[0][-1], axes[1][-1], span, span, np.inf, np.inf],
        ),
        x_scale=[step, step, step, step, high - low, max(low, noise)],
    )
    spare = max(int(known.sum()) - 6, 1)
    chi2 = 2 * float(fit.cost) / spare
    free = fit.active_mask == 0
    if not free[:3].all():
        raise ValueError("no disc fits the image: its middle or its radius is at a limit")
    slopes = np.asarray(fit.jac)[:, free]
    errors = np.sqrt(np.diag(np.linalg.pinv(slopes.T @ slopes)) * max(chi2, 1.0))
    return Aperture(
        float(fit.x[0]), float(fit.x[1]), float(errors[0]), float(errors[1]),
        2 * float(fit.x[2]), 2 * float(errors[2]), float(fit.x[3]), chi2, model(fit.x),
    )  # fmt: skip
