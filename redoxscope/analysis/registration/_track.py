"""How the sample moved while a stack was taken."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .._move import moved
from ._shift import LEAST_SIDE, Shift, shift_onto

__all__ = ["MATTERS", "MOST_SIGMA", "SEEN", "Drift", "DriftTracker"]

Array = NDArray[np.float64]
KINDS = 3
"""Images that the others are mixtures of: as many as a sample has species, and one more."""
FINE = 2.0
"""Pixels; of an image only what is finer is compared. Along a particle composition changes slowly,
and where it does, its middle seems to move from energy to energy; its rim does not."""
FINE_AGAIN = 3.0
"""The same once all images lie where they lie by their rims: less of them is noise then."""
MOST_SIGMA = 0.5
"""Pixels; where the shift is not known better, it is taken from the images before and after."""
MOST_SIDE = 300
"""Pixels a side that images are made smaller to: there is detail enough, and time is saved."""
SEEN = 5.0
"""Standard deviations, and ..."""
MATTERS = 0.1
"""... pixels, from which on a shift is a drift. Less than this moves a map by less than moving
the images costs."""
ROUGH = 4.0
"""Variance of the shifts over that by which they scatter from image to image, below which they are
no path, and ..."""
TREMBLING = 2.5
"""... the latter over what σ explains, above which σ is not to be trusted. Both are asked only
where σ is larger than what matters: what is registered better may tremble."""
FEW = 8
"""Known shifts below which nothing is said of how they scatter."""


@dataclass(frozen=True)
class Drift:
    """Where each image of a stack lies.

    Attributes
    ----------
    shifts, sigma : numpy.ndarray [nE, 2]
        (dy, dx) in pixels that brings each image onto the first, and its standard deviation. NaN
        of images that have not come; where an image does not tell its own shift, that of those
        taken before and after, with infinite σ.
    order : tuple of int
        Images that have come, in the order in which they were taken.
    """

    shifts: Array
    sigma: Array
    order: tuple[int, ...]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Images [nE] that tell their own shift."""
        return np.asarray(np.isfinite(self.sigma).all(axis=1))

    @property
    def largest(self) -> tuple[float, float]:
        """Longest of the known shifts and its σ, pixels; (0, 0) where none is known."""
        if not self.known.any():
            return 0.0, 0.0
        length = np.where(self.known, np.hypot(*self.shifts.T), -1.0)
        k = int(length.argmax())
        return float(length[k]), float(np.hypot(*self.sigma[k]))

    @property
    def matters(self) -> bool:
        """Whether images are shifted against each other for certain, and enough to be undone."""
        return self._seen and not self.disbelief

    @property
    def disbelief(self) -> str:
        """Why shifts that look certain are not believed, in words; empty where they are.

        Images without fine detail, as those of a blurred spot, agree with each other nearly
        anywhere, and σ, which knows one place only, does not say so.
        """
        if not self._seen:
            return ""
        n = len(self.order)
        known = [k for k in self.order if self.known[k]]
        if 2 * len(known) < n:
            return f"only {len(known)} of {n} images tell one"
        known = [k for k in known if (self.sigma[k] > 0).all()]
        shifts, sigma = self.shifts[known], self.sigma[known]
        typical = float(np.sqrt((np.median(sigma, axis=0) ** 2).mean()))
        if len(known) < FEW or typical <= MATTERS:
            return ""
        # An image against those before and after: of noise alone 3/2 of its variance.
        beside = (shifts[1:-1] - (shifts[2:] + shifts[:-2]) / 2) ** 2 / 1.5
        # One jump, which may well be, shows in two of them.
        scatter = float(np.sort(beside, axis=0)[:-2].mean(axis=0).sum())
        whole = float(shifts.var(axis=0).sum())
        if whole < ROUGH * scatter or scatter > TREMBLING * 2 * typical**2:
            return (
                f"from image to image they scatter by {np.sqrt(scatter / 2):.2f} pixels, with σ of "
                f"{typical:.2f}, and by {np.sqrt(whole / 2):.2f} in all, which is no path of a "
                "sample"
            )
        return ""

    @property
    def _seen(self) -> bool:
        """Whether shifts exceed their σ, and what matters."""
        known = self.known & (self.sigma > 0).all(axis=1)
        if not known.any():
            return False
        shifts, sigma = self.shifts[known], self.sigma[known]
        # Not against the first one: its own error would be that of all.
        weight = 1.0 / sigma**2
        shifts = shifts - (weight * shifts).sum(axis=0) / weight.sum(axis=0)
        return bool((np.abs(shifts) > np.maximum(SEEN * sigma, MATTERS)).any())


class DriftTracker:
    """Registers the images of a stack as they come.

    Parameters
    ----------
    energies : array_like [nE]
        eV, in the order in which they are taken.
    shape : tuple of int
        (ny, nx).
    largest : float
        Largest shift between an image and the one before (pixels).

    Notes
    -----
    Contrast inverts across an edge. But all images are mixtures of few, since a sample has few
    species: an image is compared with the mixture of the first principal components of the others
    that fits it best. `again` does it with all images that there are.
    """

    def __init__(
        self, energies: ArrayLike, shape: tuple[int, int], *, largest: float = 20.0
    ) -> None:
        self.energies = np.asarray(energies, dtype=np.float64)
        self.shape = shape
        n = len(self.energies)
        # Not where it would leave too few pixels.
        self.factor = max(1, min(-(-max(shape) // MOST_SIDE), min(shape) // LEAST_SIDE))
        self._largest = largest / self.factor
        self._shifts = np.full((n, 2), np.nan)
        self._sigma = np.full((n, 2), np.nan)
        self._moved: dict[int, NDArray[np.float32]] = {}  # without their mean, and filled up
        self._gram = np.zeros((n, n))
        self._number = np.zeros(tuple(side // self.factor for side in shape))
        self._there: dict[int, NDArray[np.bool_]] = {}
        self._order: list[int] = []
        self._fine = FINE

    @property
    def images(self) -> tuple[int, ...]:
        """Images that have come, in order."""
        return tuple(self._order)

    @property
    def drift(self) -> Drift:
        """What is known now."""
        shifts = self._filled()
        if self._order:
            shifts -= shifts[self._order[0]]
        return Drift(self.factor * shifts, self.factor * self._sigma, self.images)

    def _filled(self) -> Array:
        """Shifts; of images that do not tell theirs, from those before and after."""
        shifts = self._shifts.copy()
        order = np.array(self._order, dtype=np.intp)
        known = np.isfinite(shifts[order]).all(axis=1)
        if known.any():
            at = np.flatnonzero(known)
            for i in np.flatnonzero(~known):
                for axis in (0, 1):
                    shifts[order[i], axis] = np.interp(i, at, shifts[order[at], axis])
        return shifts

    def add(self, k: int, image: ArrayLike, variance: ArrayLike) -> None:
        """Register an image; the one that comes first lies where it lies.

        One may come later than its index says: it is looked for where the one before it lies.

        Parameters
        ----------
        k : int
            Energy index, from 0.
        image, variance : array_like [ny, nx]
            Logarithm of the counts (or optical density), NaN where there is none, and its
            variance.
        """
        y, v = self._small(image, variance)
        y = _finer(y, self._fine)
        if k in self._moved:
            self._take_out(k)
            self._order.remove(k)
        if not self._order:
            found = Shift(0.0, 0.0, 0.0, 0.0, 1.0) if np.isfinite(y).any() else None
        else:
            near = self._order[max(bisect(self._order, k) - 1, 0)]
            start = np.nan_to_num(self._filled()[near])
            found = self._register(y, v, start, search=True)
        insort(self._order, k)  # as they were taken, whenever they come
        self._put(k, y, found)

    def again(self, image_of: Callable[[int], tuple[ArrayLike, ArrayLike]]) -> None:
        """Register all images once more, each against all others.

        Parameters
        ----------
        image_of : callable
            Image and variance of an energy index, as given to `add`.
        """
        self._fine = FINE_AGAIN
        for k in [k for k in self._order if k in self._moved]:
            self._take_out(k)
            self._keep(k, _finer(self._small(*image_of(k))[0], self._fine))
        for k in self._order:
            y, v = self._small(*image_of(k))
            y = _finer(y, self._fine)
            start = np.nan_to_num(self._filled()[k])
            self._take_out(k)
            self._put(k, y, self._register(y, v, start, search=False))

    # -- helpers -------------------------------------------------------------------------------

    def _register(self, y: Array, v: Array, start: Array, *, search: bool) -> Shift | None:
        others = np.array([i for i in self._order if i in self._moved], dtype=np.intp)
        if not others.size:
            return None
        weights, vectors = np.linalg.eigh(self._gram[np.ix_(others, others)])
        vectors = vectors[:, ::-1][:, weights[::-1] > 1e-9 * weights[-1]][:, :KINDS]
        if not vectors.shape[1]:  # all of them even: nothing to compare with
            return None
        references = np.zeros((vectors.shape[1], *y.shape), dtype=np.float32)
        for i, factors in zip(others.tolist(), vectors, strict=True):
            references += factors[:, None, None].astype(np.float32) * self._moved[i]
        references[:, self._number <= len(others) / 2] = np.nan
        return shift_onto(
            y, references, variance=v, start=start, largest=self._largest, search=search
        )

    def _put(self, k: int, y: Array, found: Shift | None) -> None:
        if found is None or not found.found or max(found.sigma_y, found.sigma_x) > MOST_SIGMA:
            self._shifts[k], self._sigma[k] = np.nan, np.inf
            return
        self._shifts[k] = found.dy, found.dx
        self._sigma[k] = found.sigma_y, found.sigma_x
        self._keep(k, y)

    def _keep(self, k: int, y: Array) -> None:
        """Keep an image, moved, for others to be compared with."""
        image = moved(y, self._shifts[k]).astype(np.float32)
        good = np.isfinite(image)
        image -= image[good].mean()
        if not good.all():  # what it lacks is as in the others
            mean = np.zeros_like(image)
            if self._moved:
                mean = np.mean(list(self._moved.values()), axis=0, dtype=np.float32)
                size = float((mean[good] ** 2).sum())
                mean *= float((image[good] * mean[good]).sum()) / size if size else 0.0
            image[~good] = mean[~good]
        self._moved[k], self._there[k] = image, good
        self._number += good
        flat = image.reshape(-1)
        for i, other in self._moved.items():
            self._gram[k, i] = self._gram[i, k] = flat @ other.reshape(-1)

    def _take_out(self, k: int) -> None:
        if self._moved.pop(k, None) is not None:
            self._number -= self._there.pop(k)

    def _small(self, image: ArrayLike, variance: ArrayLike) -> tuple[Array, Array]:
        y = np.asarray(image, dtype=np.float64)
        v = np.broadcast_to(np.asarray(variance, dtype=np.float64), y.shape)
        good = np.isfinite(y) & np.isfinite(v) & (v > 0)
        y, v = np.where(good, y, np.nan), np.where(good, v, np.nan)
        if self.factor > 1:
            ny, nx = (side // self.factor * self.factor for side in self.shape)
            blocks = (ny // self.factor, self.factor, nx // self.factor, self.factor)
            y = y[:ny, :nx].reshape(blocks).mean(axis=(1, 3))
            v = v[:ny, :nx].reshape(blocks).mean(axis=(1, 3)) / self.factor**2
        return y, v


def _finer(image: Array, than: float) -> Array:
    """What of an image is finer than so many pixels, with NaN where it has them."""
    good = np.isfinite(image)
    smooth = ndimage.gaussian_filter(np.where(good, image, 0.0), than)
    with np.errstate(invalid="ignore", divide="ignore"):
        smooth /= ndimage.gaussian_filter(good.astype(np.float64), than)
    return np.where(good, image - smooth, np.nan)
