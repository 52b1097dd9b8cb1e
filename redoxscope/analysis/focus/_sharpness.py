"""How sharp a line is, without what its noise adds, and how sure that is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["sharpness", "transmission"]

Array = NDArray[np.float64]

FEWEST_PIXELS = 8


def transmission(counts: Any, i0: Any = None) -> tuple[Array, Array]:
    """Lines in units of their own mean, and the variance of each pixel from counting.

    Parameters
    ----------
    counts : array_like [nz, nx]
        Counts behind the sample; NaN where there are none.
    i0 : array_like [nz, nx], optional
        Counts of the monitor of the same pixels: takes out what the beam does meanwhile.

    Raises
    ------
    ValueError
        Wrong shapes, too few pixels, or counts below 0.
    """
    measured = np.asarray(counts, dtype=float)
    if measured.ndim != 2 or measured.shape[1] < FEWEST_PIXELS:
        raise ValueError(
            f"counts has shape {measured.shape}; expected (lines, pixels), at least "
            f"{FEWEST_PIXELS} pixels"
        )
    if (measured < 0).any():
        raise ValueError(f"counts holds {np.nanmin(measured):g} counts, below 0")
    value, relative = measured.copy(), 1 / np.maximum(measured, 1.0)
    if i0 is not None:
        monitor = np.asarray(i0, dtype=float)
        if monitor.shape != measured.shape:
            raise ValueError(f"i0 has shape {monitor.shape}; expected that of counts")
        monitor = np.where(monitor > 0, monitor, np.nan)
        value, relative = value / monitor, relative + 1 / monitor
    mean = value.mean(axis=1, keepdims=True)
    value = value / np.where(mean > 0, mean, np.nan)
    return value, value**2 * relative


def sharpness(counts: Any, i0: Any = None, *, scale: float = 2.0) -> tuple[Array, Array]:
    """Energy of the gradient of each line, without what counting noise adds to it.

    Parameters
    ----------
    counts, i0 : array_like [nz, nx]
        As measured: counts behind the sample, and of the monitor.
    scale : float
        Standard deviation (pixels) of the Gaussian whose derivative takes the gradient.

    Returns
    -------
    value, sigma : numpy.ndarray [nz]
        NaN for lines that are not whole.

    Raises
    ------
    ValueError
        Wrong shapes, too few pixels, or counts below 0.

    Notes
    -----
    With transmissions t of variance V and the gradient's matrix L, the energy is tᵀKt with
    K = LᵀL. Noise adds tr(KV) to it, which is taken off; the variance of a quadratic form of
    Gaussian numbers is 2 tr(KVKV) + 4 τᵀKVKτ with the true τ (A. M. Mathai and S. B. Provost,
    *Quadratic Forms in Random Variables*, 1992), where τᵀKVKτ is estimated as
    tᵀKVKt - tr(KVKV).
    """
    value, variance = transmission(counts, i0)
    gradient = _gradient(value.shape[1], scale)
    form = gradient.T @ gradient
    through = value @ form
    energy = np.einsum("zi,zi->z", through, value) - variance @ np.diag(form)
    noise = np.einsum("zi,ij,zj->z", variance, form**2, variance)
    signal = np.einsum("zi,zi->z", through**2, variance)
    spread = np.maximum(4 * signal - 2 * noise, 2 * noise)
    return energy, np.sqrt(spread)


def _gradient(pixels: int, scale: float) -> Array:
    """Matrix of a derivative over a Gaussian, where it lies wholly within the line."""
    reach = min(int(np.ceil(3 * scale)), (pixels - 1) // 2)
    at = np.arange(-reach, reach + 1, dtype=float)
    kernel = at * np.exp(-0.5 * (at / scale) ** 2)
    kernel = 2 * kernel / np.abs(kernel).sum()
    rows = pixels - 2 * reach
    matrix = np.zeros((rows, pixels))
    for row in range(rows):
        matrix[row, row : row + len(at)] = kernel
    return matrix
