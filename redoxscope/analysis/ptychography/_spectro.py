"""Reconstructions at several energies on one grid: optical density with its standard deviation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._align import Shift, shift_between
from ._gauge import remove_gauge
from ._result import PtychoResult

__all__ = ["Spectro", "empty_area", "on_one_grid"]

Array = NDArray[np.float64]

LEAST_EMPTY = 64
"""Fewest empty pixels that tell the zero of the optical density."""
SURE = 0.5
"""Standard deviation of a shift (pixels) above which it is not known."""
TILES = 6
"""Tiles a side whose means say how well the zero is known."""
FAR = 3
"""Pixels by which the empty area keeps away from the sample, and from where few frames were."""


@dataclass(frozen=True)
class Spectro:
    """Images of all energies, one on the other.

    Attributes
    ----------
    energies : numpy.ndarray [nE]
        eV, rising.
    object : numpy.ndarray of complex64 [nE, ny, nx]
        Transmission, 1 in the empty area; NaN where an energy has no frames.
    od, sigma : numpy.ndarray of float32 [nE, ny, nx]
        Optical density and its standard deviation; NaN where there is none.
    zero_sigma : numpy.ndarray [nE]
        Standard deviation of the zero of the optical density, which all pixels share.
    shift_um, shift_sigma_um : numpy.ndarray [nE, 2]
        By how much each image was moved along y and x (µm), and how well that is known; σ is NaN
        where it is not known how the image lies against the first.
    excess : numpy.ndarray [nE]
        Scatter of the empty area over that of the photons alone.
    blank : numpy.ndarray of bool [ny, nx]
        The empty area.
    x_um, y_um : numpy.ndarray [nx], [ny]
        Centres of the pixels (µm).
    notes : tuple of str
        What the user should know of it.
    """

    energies: Array
    object: NDArray[np.complex64]
    od: NDArray[np.float32]
    sigma: NDArray[np.float32]
    zero_sigma: Array
    shift_um: Array
    shift_sigma_um: Array
    excess: Array
    blank: NDArray[np.bool_]
    x_um: Array
    y_um: Array
    notes: tuple[str, ...] = ()


def empty_area(result: PtychoResult) -> NDArray[np.bool_]:
    """Where there is no sample: what is bright, away from edges and from the border.

    Two classes of the amplitude (N. Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62), smoothed over
    two pixels.

    Returns
    -------
    numpy.ndarray of bool [ny, nx]

    Raises
    ------
    ValueError
        Fewer than 64 pixels are empty.
    """
    blank = _empty(result)
    if np.count_nonzero(blank) < LEAST_EMPTY:
        raise _no_zero(result)
    return blank


def _no_zero(result: PtychoResult) -> ValueError:
    return ValueError(
        f"at {result.energy_ev:g} eV fewer than {LEAST_EMPTY} pixels are empty, so that the "
        "optical density has no zero: take some of the empty surroundings with the sample"
    )


def _empty(result: PtychoResult) -> NDArray[np.bool_]:
    """The empty area, however small it is."""
    covered = result.covered
    level = ndimage.gaussian_filter(np.where(covered, result.amplitude, 1.0).astype(float), 2.0)
    inside = ndimage.binary_erosion(covered, iterations=FAR)
    blank = np.zeros_like(covered)
    if inside.any() and np.ptp(level[inside]) > 0:
        bright = level > _two_classes(level[inside])
        blank = ndimage.binary_erosion(bright, iterations=FAR) & inside
    return blank


def _empties(
    results: Sequence[PtychoResult],
) -> tuple[list[NDArray[np.bool_]], dict[int, int]]:
    """The empty area of each, and which have that of another.

    A thin sample before the edge may be nothing but noise: its empty area is that of the nearest
    energy that shows one.

    Raises
    ------
    ValueError
        As `empty_area`, where none shows one, or where the nearest one lies elsewhere.
    """
    found = [_empty(one) for one in results]
    own = [k for k, blank in enumerate(found) if np.count_nonzero(blank) >= LEAST_EMPTY]
    borrowed: dict[int, int] = {}
    for k, one in enumerate(results):
        if k in own:
            continue
        if not own:
            raise _no_zero(one)
        other = min(own, key=lambda j: abs(results[j].energy_ev - one.energy_ev))
        at = _at(results[other], one.x_um, one.y_um, (0.0, 0.0))
        there = ndimage.map_coordinates(found[other].astype(float), at, order=1) > 0.99
        found[k], borrowed[k] = there & one.covered, other
        if np.count_nonzero(found[k]) < LEAST_EMPTY:
            raise _no_zero(one)
    return found, borrowed


def _two_classes(values: NDArray[np.floating]) -> float:
    """The value that divides a histogram into the two classes furthest apart."""
    count, edges = np.histogram(values, bins=256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(count)[:-1]
    above = values.size - below
    sums = np.cumsum(count * middle)
    apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / above  # no bin at the ends is empty
    return float(edges[1 + int(np.argmax(below * above * apart**2))])


def on_one_grid(results: Sequence[PtychoResult]) -> Spectro:
    """Bring reconstructions of several energies onto one grid and onto each other.

    Parameters
    ----------
    results : sequence of PtychoResult
        Of the same places.

    Returns
    -------
    Spectro
        On the grid of the largest pixel, where all of them have frames.

    Raises
    ------
    ValueError
        There are none, they do not overlap, or at no energy is there an empty area.

    Notes
    -----
    The pixel of a reconstruction goes with the wavelength, so the images are interpolated (cubic
    splines, real and imaginary part), after scale, phase and ramp were fixed in the empty area.
    Each is moved onto the one of the energy before whose own shift is known; shifts add up, and so
    do their variances. One whose shift is not known is moved like the one before.

    σ: at the solution the photons that went through a pixel determine its amplitude a to a
    variance proportional to 1/photons (the diagonal of the Fisher information), so that σ(OD) =
    k/(a √photons). The factor k is not taken from theory, where it is 1 for what one pixel alone
    would have, but from the scatter of the empty area between neighbours, per energy: overlap,
    probe, phase retrieval and all else that scatters is in it. `excess` is k.
    """
    if not results:
        raise ValueError("there is no reconstruction to put together")
    ordered = sorted(results, key=lambda one: one.energy_ev)
    empties, borrowed = _empties(ordered)
    flat = [remove_gauge(one, empty) for one, empty in zip(ordered, empties, strict=True)]
    x, y = _common(flat)
    first = [_sampled(one, x, y, (0.0, 0.0)) for one in flat]
    shifts, sigmas, notes = _shifts(ordered, first)
    notes += [
        f"at {ordered[k].energy_ev:g} eV sample and empty area cannot be told apart: the empty "
        f"area of {ordered[other].energy_ev:g} eV counts"
        for k, other in borrowed.items()
    ]
    moved = [
        _sampled(one, x, y, shift) if shift != (0.0, 0.0) else before
        for one, shift, before in zip(flat, shifts, first, strict=True)
    ]
    objects = np.stack([o for o, _ in moved])
    light = np.stack([c for _, c in moved])
    known = np.isfinite(objects)
    with np.errstate(divide="ignore", invalid="ignore"):
        od = -2 * np.log(np.abs(objects))
    blank = np.ones(known.shape[1:], dtype=bool)
    for k, (one, empty, shift) in enumerate(zip(ordered, empties, shifts, strict=True)):
        # What is borrowed has its say where it comes from, with the shift of that image.
        area = one.covered if k in borrowed else empty
        at = _at(one, x, y, shift)
        blank &= ndimage.map_coordinates(area.astype(float), at, order=1) > 0.99
    if np.count_nonzero(blank) < LEAST_EMPTY:
        raise ValueError("the energies have no empty area in common")
    sigma, excess, zeros = np.full(od.shape, np.nan), np.empty(len(od)), np.empty(len(od))
    for k in range(len(od)):
        zero, zeros[k] = _zero(od[k], blank)
        od[k] -= zero
        objects[k] *= np.exp(zero / 2)
        excess[k] = _excess(od[k], light[k], blank)
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma[k] = excess[k] * np.exp(od[k] / 2) / np.sqrt(light[k])
    usable = known & np.isfinite(od) & np.isfinite(sigma)
    pixel = float(x[1] - x[0])
    return Spectro(
        energies=np.array([one.energy_ev for one in ordered]),
        object=np.where(usable, objects, np.nan).astype(np.complex64),
        od=np.where(usable, od, np.nan).astype(np.float32),
        sigma=np.where(usable, sigma, np.nan).astype(np.float32),
        zero_sigma=zeros, shift_um=np.array(shifts) * pixel,
        shift_sigma_um=np.array(sigmas) * pixel, excess=excess, blank=blank, x_um=x, y_um=y,
        notes=tuple(notes),
    )  # fmt: skip


def _common(results: Sequence[PtychoResult]) -> tuple[Array, Array]:
    """Centres of the pixels of the grid that lies in all of them where they have frames."""
    pixel = max(one.pixel_um for one in results)
    low, high = [-math.inf, -math.inf], [math.inf, math.inf]
    for one in results:
        covered = one.covered
        for axis, along in ((0, one.x_um), (1, one.y_um)):
            there = along[np.flatnonzero(covered.any(axis=axis))]
            if not there.size:
                raise ValueError(f"at {one.energy_ev:g} eV no frame is in the image")
            low[axis], high[axis] = max(low[axis], there[0]), min(high[axis], there[-1])
    if any(high[axis] - low[axis] < 16 * pixel for axis in (0, 1)):
        raise ValueError(
            "the energies were not taken of the same place: their images do not overlap"
        )
    x, y = (
        np.asarray(
            low[axis] + pixel * np.arange(math.floor((high[axis] - low[axis]) / pixel) + 1.0)
        )
        for axis in (0, 1)
    )
    return x, y


def _at(one: PtychoResult, x: Array, y: Array, shift: tuple[float, float]) -> NDArray[np.float64]:
    """Places of a grid in pixels of an image that is moved by a shift (grid pixels along y, x)."""
    step = float(abs(x[1] - x[0]))
    rows = (y - shift[0] * step - one.y_um[0]) / one.pixel_um
    columns = (x - shift[1] * step - one.x_um[0]) / one.pixel_um
    return np.array(np.meshgrid(rows, columns, indexing="ij"))


def _sampled(
    one: PtychoResult, x: Array, y: Array, shift: tuple[float, float]
) -> tuple[NDArray[np.complex128], Array]:
    """Object and incident photons per pixel on a grid; NaN and 0 where there are no frames."""
    at = _at(one, x, y, shift)
    o = one.object
    real, imaginary = (
        ndimage.map_coordinates(part.astype(float), at, order=3, mode="nearest")
        for part in (o.real, o.imag)
    )
    light = ndimage.map_coordinates(one.coverage.astype(float), at, order=1)
    there = ndimage.map_coordinates(one.covered.astype(float), at, order=1) > 0.99
    return np.where(there, real + 1j * imaginary, np.nan), np.where(there, light, 0.0)


def _shifts(
    results: Sequence[PtychoResult], images: Sequence[tuple[NDArray[np.complex128], Array]]
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[str]]:
    """Shift of each onto the first, and σ (grid pixels along y and x)."""
    shifts, sigmas, notes = [(0.0, 0.0)], [(0.0, 0.0)], []
    contrast = [np.abs(1 - np.where(np.isfinite(o), o, 1.0)) for o, _ in images]
    last = 0  # the latest that was found to lie on another
    for k in range(1, len(images)):
        # A poor image in between has no part in the chain; where the chain itself begins with
        # poor ones, those after it still lie on each other.
        for on in dict.fromkeys((last, k - 1)):
            found: Shift = shift_between(contrast[k], contrast[on])
            if max(found.sigma_y, found.sigma_x) <= SURE:
                before, noise = shifts[on], sigmas[on]
                if on == last or last == 0:  # else it hangs on one that is not known itself
                    last = k
                shifts.append((before[0] + found.dy, before[1] + found.dx))
                sigmas.append(
                    (math.hypot(noise[0], found.sigma_y), math.hypot(noise[1], found.sigma_x))
                )
                break
        else:
            shifts.append(shifts[-1])
            sigmas.append((math.nan, math.nan))
        if math.isnan(sigmas[-1][0]):
            notes.append(
                f"at {results[k].energy_ev:g} eV the shift is not known: moved like the one before"
            )
    return shifts, sigmas, notes


def _zero(od: Array, blank: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean optical density of the empty area, and its σ from how the means of tiles scatter."""
    ny, nx = od.shape
    rows, columns = np.nonzero(blank)
    tile = (rows * TILES // ny) * TILES + columns * TILES // nx
    count = np.bincount(tile, minlength=TILES**2)
    total = np.bincount(tile, od[blank], minlength=TILES**2)
    there = count >= max(8, count.max() // 4)
    means = total[there] / count[there]
    mean = float(od[blank].mean())
    if len(means) < 2:
        return mean, float(od[blank].std())
    return mean, float(means.std(ddof=1) / math.sqrt(len(means)))


def _excess(od: Array, light: Array, blank: NDArray[np.bool_]) -> float:
    """Scatter of the empty area over 1/√photons; the median, so that specks do not count."""
    z = od[blank] * np.sqrt(light[blank])
    return float(1.4826 * np.median(np.abs(z - np.median(z))))
