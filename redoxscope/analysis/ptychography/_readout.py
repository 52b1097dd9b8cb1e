"""What some cameras write instead of counts: gain bits, and columns read beyond the chip."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import median_filter
from scipy.special import ndtri

from ...inputs import as_number

__all__ = ["GAIN_BITS_FULL", "gain_bits", "overscan"]

_FACTORS = {0b00: 1.0, 0b01: 4.0, 0b10: 4.0, 0b11: 8.0}

GAIN_BITS_FULL = 8191 * 8.0
"""Saturation of what `gain_bits` returns: thirteen bits of ones at the lowest gain."""


def gain_bits(
    raw: ArrayLike, factors: Mapping[int, float] = _FACTORS
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Counts of a camera whose upper bits say at which gain a pixel was read (FastCCD).

    Parameters
    ----------
    raw : array_like of uint16
        Thirteen bits of value, then one that marks a pixel as bad, then two of the gain.
    factors : mapping of int to float
        What one step of the value is, by the two gain bits.

    Returns
    -------
    counts : numpy.ndarray of float32
        In steps of the highest gain.
    good : numpy.ndarray of bool
        Without the mark.

    Raises
    ------
    ValueError
        The values are not unsigned 16-bit integers, or a factor is missing or not positive.
    """
    values = np.asarray(raw)
    if values.dtype != np.uint16:
        raise ValueError(f"raw values of type {values.dtype} must be uint16: they hold gain bits")
    table = np.array(
        [as_number(f"factors[{code:02b}]", factors.get(code), above=0.0) for code in range(4)],
        dtype=np.float32,
    )
    counts = (values & 0x1FFF).astype(np.float32) * table[values >> 14]
    return counts, (values & 0x2000) == 0


def overscan(columns: ArrayLike, read_noise: float, *, rows: int = 21) -> NDArray[np.float64]:
    """Background of each row of a frame, from columns that are read beyond the chip.

    Parameters
    ----------
    columns : array_like [..., ny, n]
        Their counts. Of several the smallest counts, since charge may leak into one.
    read_noise : float
        Standard deviation of one of them (counts).
    rows : int
        Rows that the median is taken of.

    Returns
    -------
    numpy.ndarray of float64 [..., ny]
        To be taken off the row, with the bias of a smallest of n corrected.

    Raises
    ------
    ValueError
        No columns, or the noise is not a number.
    """
    values = np.asarray(columns, dtype=float)
    if values.ndim < 2 or not values.shape[-1]:
        raise ValueError(f"columns of shape {values.shape} must be [..., rows, columns]")
    noise = as_number("read_noise", read_noise, "counts", at_least=0.0)
    n = values.shape[-1]
    size = [1] * (values.ndim - 2) + [rows]
    least = median_filter(values.min(axis=-1), size=size, mode="nearest")
    # median of the smallest of n normal values: each exceeds it with the chance 2^(-1/n)
    return np.asarray(least - noise * float(ndtri(1 - math.pow(0.5, 1 / n))))
