"""Whether an image that was moved shows the same as another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._move import moved

__all__ = ["likeness"]


def likeness(image: ArrayLike, reference: ArrayLike, shift: ArrayLike) -> float:
    """Correlation of two images of one energy, the first one moved, in its standard deviations.

    Two images of noise alone agree best somewhere, too: to three or four.

    Parameters
    ----------
    image, reference : array_like [ny, nx]
        NaN where there is none.
    shift : array_like [2]
        (dy, dx), pixels.

    Returns
    -------
    float
        r √n of n pixels that both have; 0 where they have none in common, or one is even.
    """
    there, other = moved(image, shift), np.asarray(reference, dtype=np.float64)
    good = np.isfinite(there) & np.isfinite(other)
    if not good.any():
        return 0.0
    a, b = (values[good] - values[good].mean() for values in (there, other))
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size * np.sqrt(good.sum())) if size > 0 else 0.0
