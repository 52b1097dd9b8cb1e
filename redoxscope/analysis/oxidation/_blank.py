"""The blank area of an image: where the beam met no sample, found without being told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.signal import find_peaks

__all__ = ["Blank", "find_blank"]

MIN_PIXELS = 20
"""Fewer pixels than this are not called a blank area."""
MIN_SHARE = 0.005
"""... nor a smaller share of the pixels seen."""
NOISE_FACTOR = 1.5
BEAM_JITTER = 0.01
"""A blank may be this many times as wide as its counting noise, and this much besides, for
what the beam does within an image. On the first lines of the Toner stack, all of them sample,
the brightest bump is 2.5 to 4 times as wide as noise; its real blank is 0.8 times."""
MIN_CONTRAST = 2.0
"""A blank's histogram peak is at least this many times as high as the shoulder beside it."""
MIN_SHOULDER_SHARE = 0.25
"""... and holds at least this share of the pixels of the shoulder."""


@dataclass(frozen=True)
class Blank:
    """A blank area, or why there is none.

    Attributes
    ----------
    mask : numpy.ndarray of bool [ny, nx]
        Pixels without sample; all False where none was found.
    level : float
        ln(transmission) of the blank area, in the units of the input; NaN if none.
    width : float
        Standard deviation of ln(transmission) inside it, after smoothing; NaN if none.
    reason : str
        Empty where a blank was found, else what is missing.
    """

    mask: NDArray[np.bool_]
    level: float
    width: float
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a blank area."""
        return not self.reason


def _none(shape: tuple[int, ...], reason: str) -> Blank:
    return Blank(np.zeros(shape, dtype=bool), np.nan, np.nan, reason)


def _smoothed(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian smoothing that neither spreads nor fills NaN."""
    seen = np.isfinite(image)
    if seen.all():
        return np.asarray(ndimage.gaussian_filter(image, sigma, mode="nearest"))
    weight = ndimage.gaussian_filter(seen.astype(np.float64), sigma, mode="nearest")
    total = ndimage.gaussian_filter(np.where(seen, image, 0.0), sigma, mode="nearest")
    return np.where(seen, total / np.maximum(weight, 1e-12), np.nan)


def find_blank(log_transmission: ArrayLike, noise: float) -> Blank:
    """Find the pixels where the beam met no sample.

    The blank is a plateau: every pixel of it has the same transmission, the highest there is,
    so the histogram of ln(transmission) has a peak at its bright end whose width is the noise
    and nothing else. The brightest such peak is taken, and of it the pixels on *both* sides:
    taking the brightest pixels instead would select upward fluctuations and overestimate I0.

    Parameters
    ----------
    log_transmission : array_like [ny, nx]
        ln(counts), or ln(counts / monitor), best averaged over all energies seen. NaN where
        nothing was measured yet: a part of the first image is enough. Offsets do not matter.
    noise : float
        Standard deviation of ``log_transmission`` from counting, for one bright pixel.

    Returns
    -------
    Blank
        ``found`` is False, with the reason, where there are too few pixels, no peak as narrow
        as noise (sample everywhere), or no contrast (all sample and all blank look the same).

    Raises
    ------
    ValueError
        If the image is not two-dimensional or the noise is not finite and positive.

    Notes
    -----
    A film of uniform thickness with thicker particles on it is indistinguishable from a blank
    with particles by transmission alone: there a monitor, or a mask, has to be given.
    """
    image = np.asarray(log_transmission, dtype=np.float64)
    if image.ndim != 2:
        raise ValueError(f"log_transmission has {image.ndim} dimensions, but must have 2 [ny, nx]")
    if not np.isfinite(noise) or noise <= 0:
        raise ValueError(f"noise is {noise!r}, but must be finite and > 0")
    seen = np.isfinite(image)
    n_seen = int(seen.sum())
    least = max(MIN_PIXELS, int(np.ceil(MIN_SHARE * n_seen)))
    if n_seen < 2 * MIN_PIXELS:
        return _none(image.shape, f"{2 * MIN_PIXELS} pixels needed, {n_seen} seen")

    lines = int(seen.any(axis=1).sum())
    if noise > 0.002:
        image = _smoothed(np.where(seen, image, np.nan), 1.0)
        # 1/(2 sqrt(pi)) = 0.28 of the noise is left in two dimensions, 0.53 in one.
        noise = noise * (0.32 if lines > 2 else 0.55)
    values = image[seen]
    peak = _brightest_peak(values, noise, least)
    if peak is None:
        return _none(
            image.shape, "the brightest pixels are all different: no area is empty, or it is small"
        )
    mode, width = peak
    if width > NOISE_FACTOR * noise + BEAM_JITTER:
        return _none(
            image.shape,
            f"the optical density of the brightest pixels varies by {width:.3g} where noise allows "
            f"{NOISE_FACTOR * noise + BEAM_JITTER:.3g}: no area is empty, or it is small",
        )
    darker = int((values < mode - max(4.0 * width, 0.03)).sum())
    if darker < max(5, 0.002 * n_seen):
        return _none(image.shape, "no contrast: all pixels transmit the same")

    far = max(10.0 * width, 0.1)
    plateau = int((np.abs(values - mode) <= 2.0 * width).sum())
    shoulder = int(((values < mode - 3.0 * width) & (values >= mode - far)).sum())
    if plateau < MIN_SHOULDER_SHARE * shoulder or plateau / (
        4.0 * width
    ) < MIN_CONTRAST * shoulder / (far - 3.0 * width):
        return _none(
            image.shape, "the brightest pixels do not stand out: the thickness varies evenly"
        )

    mask = _compact(seen & (np.abs(image - mode) <= 2.0 * width), least)
    if mask.sum() < least:
        return _none(image.shape, f"bright pixels are scattered: no area of {least} pixels")
    return Blank(mask, float(mode), float(width))


def _brightest_peak(
    values: NDArray[np.float64], noise: float, least: int
) -> tuple[float, float] | None:
    """Mode and half-width of the brightest peak holding at least ``least`` values."""
    top = float(values.max())
    step = max(noise, 1e-4) / 2.0
    low = max(float(values.min()), top - 3.0, top - 20000 * step)
    edges = np.arange(low - 10 * step, top + 12 * step, step)
    histogram = np.histogram(values, edges)[0].astype(np.float64)
    # A kernel as wide as the noise doubles the variance of a noise-limited peak, no more; few
    # pixels need a wider one to show a peak at all.
    kernel = 2.0 * max(1.0, (2000.0 / len(values)) ** 0.2)
    density = ndimage.gaussian_filter1d(histogram, kernel, mode="constant")
    peaks, found = find_peaks(density, prominence=0.0)
    for index, prominence in zip(peaks[::-1], found["prominences"][::-1], strict=True):
        height = density[index]
        # Counts under the kernel, to judge whether the bump is more than chance.
        events = height * kernel * 2.0 * np.sqrt(np.pi)
        chance = height * 4.0 / np.sqrt(max(events, 1.0))
        if prominence < max(0.3 * height, min(chance, 0.95 * height)):
            continue
        mode = 0.5 * (edges[index] + edges[index + 1])
        above = values[values > mode] - mode
        # Only the bright side: the other one is mixed with thin sample.
        width = 1.4826 * float(np.median(above)) if above.size else step
        width = max(width, step)
        if (np.abs(values - mode) <= 2.0 * width).sum() >= least:
            return mode, width
    return None


def _compact(candidates: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Drop lone pixels and rims: rims hold the blur of the sample next to them."""
    filled = ndimage.uniform_filter(candidates.astype(np.float64), 3, mode="nearest") > 0.6
    solid = candidates & filled
    eroded = ndimage.binary_erosion(filled, border_value=1) & candidates
    for mask in (eroded, solid, candidates):
        if mask.sum() >= least:
            return mask
    return candidates
