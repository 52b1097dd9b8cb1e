"""Where an image lies on others, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .._move import moved

__all__ = ["LEAST_SIDE", "Shift", "shift_onto"]

Array = NDArray[np.float64]
LEAST_SIDE = 8
"""Pixels a side that an image must have."""
LEAST_SHARE = 0.2
"""Share of the pixels that image and references must have in common."""
STEPS = 12
ENOUGH = 0.01
"""Pixels by which the last step may still move: what is left after it is a fraction of that."""
AROUND = np.ones((3, 3), dtype=bool)
LONGEST_STEP = 1.0
"""Pixels; a linear step is not to be trusted further."""
BACK = 0.5
"""Of a step that was taken, at most so much is taken back, where ..."""
MISFIT = 4.0
"""... reduced chi-square is above this: detail that is finer than a pixel makes steps too long, and
they go to and fro about the shift. Where they do so by noise, there is none to be told."""
MOST_LEFT = 0.05
"""Pixels; where the last step is still longer, it was going somewhere and has not arrived."""


@dataclass(frozen=True)
class Shift:
    """By how much an image has to be moved to lie on its references.

    Attributes
    ----------
    dy, dx : float
        Pixels, along rows and columns; NaN where it cannot be told.
    sigma_y, sigma_x : float
        Their standard deviations (pixels): of counting or, where that is larger, of the misfit;
        infinite where the shift cannot be told.
    chi2 : float
        Reduced chi-square of the image against its references.
    """

    dy: float
    dx: float
    sigma_y: float
    sigma_x: float
    chi2: float

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return bool(np.isfinite([self.dy, self.dx, self.sigma_y, self.sigma_x]).all())


UNKNOWN = Shift(np.nan, np.nan, np.inf, np.inf, np.nan)


def shift_onto(
    image: ArrayLike,
    references: ArrayLike,
    *,
    variance: ArrayLike | float = 1.0,
    start: ArrayLike = (0.0, 0.0),
    largest: float = 20.0,
    search: bool = True,
) -> Shift:
    """Find the shift that brings an image onto a mixture of references.

    Parameters
    ----------
    image : array_like [ny, nx]
        Logarithm of the counts (or an optical density); NaN where there is none.
    references : array_like [m, ny, nx] or [ny, nx]
        Images of the same at other energies, on the grid that is wanted. The image is compared
        with the mixture of them and a constant that fits best, so that its contrast may be
        another one, or inverted.
    variance : array_like [ny, nx] or float
        Of the image.
    start : array_like [2]
        (dy, dx), pixels, near which it is looked for.
    largest : float
        Largest departure from the start (pixels).
    search : bool
        Whether to look for it in all of that range first, by the edges of both; else the start
        must be right to about a pixel.

    Returns
    -------
    Shift

    Raises
    ------
    ValueError
        Shapes differ, an image has fewer than 8 pixels a side, or ``largest`` is not positive.

    Notes
    -----
    First the maximum of the phase correlation of the images' edges, which do not invert with the
    contrast (M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33 (2008) 156, in
    scikit-image). Then the least squares of Gauss and Newton in shift and mixture together
    (B. D. Lucas, T. Kanade, Proc. IJCAI 81 (1981) 674), whose covariance gives σ.
    """
    a, b = np.asarray(image, dtype=np.float64), np.asarray(references, dtype=np.float64)
    b = b[None] if b.ndim == 2 else b
    if a.ndim != 2 or b.ndim != 3 or b.shape[1:] != a.shape or not len(b):
        raise ValueError(f"references have shape {b.shape}, but must have [m, ny, nx] of {a.shape}")
    if min(a.shape) < LEAST_SIDE:
        raise ValueError(f"an image of {a.shape} pixels; at least {LEAST_SIDE} a side are needed")
    if not largest > 0:
        raise ValueError(f"largest = {largest!r} pixels must be > 0")
    v = np.broadcast_to(np.asarray(variance, dtype=np.float64), a.shape)
    first = np.asarray(start, dtype=np.float64)
    problem = _Problem(a, b, v)
    starts = [first]
    if search:
        there = first + _by_edges(moved(a, first), b, largest)
        if np.abs(there - first).max() > 0.5:
            starts.append(there)
    found = [problem.solve(each, first, largest) for each in starts]
    return min(found, key=lambda s: (not s.found, s.chi2 if s.found else 0.0))


class _Problem:
    """An image against its references."""

    def __init__(self, image: Array, references: Array, variance: Array) -> None:
        good: NDArray[np.bool_] = np.asarray(np.isfinite(references).all(axis=0))
        self._references = np.where(good, references, 0.0)
        slopes = np.stack([np.gradient(each) for each in self._references])
        # Where a neighbour is lacking, there is no slope.
        self._inner = ndimage.binary_erosion(good, AROUND)
        self._slopes = slopes  # [m, 2, ny, nx]
        self._image, self._variance = image, variance

    def solve(self, start: Array, middle: Array, largest: float) -> Shift:
        shift, mixture, step, before = start.copy(), None, np.zeros(2), np.zeros(2)
        result = None
        for _ in range(STEPS):
            result = self._step(shift, mixture)
            if result is None:
                return UNKNOWN
            step, mixture, covariance, chi2 = result
            step = np.clip(step, -LONGEST_STEP, LONGEST_STEP)
            taken = step
            if chi2 > MISFIT and step @ before < 0:  # the one before went too far, this one too
                taken = step * min(1.0, BACK * np.hypot(*before) / np.hypot(*step))
            shift, before = shift + taken, taken
            if np.abs(shift - middle).max() > largest:
                return UNKNOWN
            if np.abs(step).max() < ENOUGH and covariance is not None:
                break
        assert result is not None
        if np.abs(step).max() > MOST_LEFT:
            return UNKNOWN
        _, _, covariance, chi2 = result
        if covariance is None or not (np.diag(covariance) > 0).all():
            return UNKNOWN
        sigma = np.sqrt(np.diag(covariance) * max(1.0, chi2))
        if not np.isfinite(sigma).all():
            return UNKNOWN
        return Shift(float(shift[0]), float(shift[1]), float(sigma[0]), float(sigma[1]), chi2)

    def _step(
        self, shift: Array, mixture: Array | None
    ) -> tuple[Array, Array, Array | None, float] | None:
        """Step of the shift, the mixture, the covariance of the shift, and chi-square."""
        image = moved(self._image, shift)
        good = self._inner & np.isfinite(image)
        n, m = int(good.sum()), len(self._references)
        if n < max(LEAST_SHARE * image.size, 4 * (m + 3)):
            return None
        variance = self._variance
        if variance.strides != (0, 0):
            variance = moved(variance, np.round(shift))
            good &= np.isfinite(variance) & (variance > 0)
        weight = 1.0 / variance[good]
        columns = [np.ones(good.sum()), *(each[good] for each in self._references)]
        if mixture is not None:
            # What is moved on by d has lost d times its slope.
            slopes = np.tensordot(mixture[1:], self._slopes, 1)
            columns += [slopes[0][good], slopes[1][good]]
        a, y = np.stack(columns), image[good]
        scale = np.sqrt((a**2).mean(axis=1))
        if not (scale > 0).all():
            return None
        a /= scale[:, None]
        gram = (a * weight) @ a.T
        if not np.linalg.cond(gram) < 1e12:
            return None
        inverse = np.linalg.inv(gram)
        c = inverse @ ((a * weight) @ y)
        residual = y - c @ a
        chi2 = float((weight * residual**2).sum() / max(len(y) - len(c), 1))
        c /= scale
        if mixture is None:
            return np.zeros(2), c, None, chi2
        covariance = inverse[-2:, -2:] / np.outer(scale[-2:], scale[-2:])
        return c[-2:], c[: 1 + m], covariance, chi2


def _by_edges(image: Array, references: Array, largest: float) -> Array:
    """Shift by whole pixels, from the edges of image and first reference."""
    from skimage.filters import sobel
    from skimage.registration import phase_cross_correlation

    both = []
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
    for each in (references[0], image):
        good = np.isfinite(each)
        if not good.any():
            return np.zeros(2)
        filled = np.where(good, each, np.median(each[good]))
        edges = sobel(ndimage.gaussian_filter(filled, 1.0))
        edges[~ndimage.binary_erosion(good, AROUND)] = np.median(edges[good])
        edges = (edges - edges.mean()) * window
        if not edges.any():
            return np.zeros(2)
        both.append(edges)
    shift, _, _ = phase_cross_correlation(*both, normalization=None)
    found = np.asarray(shift, dtype=np.float64)
    return found if np.abs(found).max() <= largest else np.zeros(2)
