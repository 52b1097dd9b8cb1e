"""Spectrum of an area of a stack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._measured import Measured
from ._result import AreaSpectrum, OxidationResult, PixelFlag
from ._solve import Solver

__all__ = ["default_area", "area_spectrum"]

Array = NDArray[np.float64]


def area_spectrum(
    measured: Measured,
    weight: Array,
    design: Array,
    species: int,
    ln_i0: Array,
    i0_variance: Array,
    area: NDArray[np.bool_],
    axis: Array,
) -> AreaSpectrum:
    """Mean of the optical densities of an area's pixels; see `StackFit.area_spectrum`.

    The mean of optical densities, not the logarithm of mean counts: only the former is linear
    in the coefficients where the area is not uniform.
    """
    lines = np.flatnonzero(area.any(axis=1))
    if not lines.size:
        raise ValueError("no pixel of the area has a value")
    # Lines that other images do not cover, as they are moved, and not the energies of those.
    bare = measured.uncovered[:, lines].any(axis=0)
    if not bare.all():
        area = area.copy()
        area[lines[bare]] = False
        lines = lines[~bare]
    usable = measured.present[:, lines].all(axis=1) & np.isfinite(ln_i0)
    energies = np.flatnonzero(usable)
    line, column = np.nonzero(area)
    pixels, count = (line, column), len(line)
    od, variance = np.empty(len(energies)), np.empty(len(energies))
    for i, k in enumerate(energies):  # one frame at a time: an area may be the whole image
        one = np.array([k])
        od[i] = measured.y(one, pixels).mean(dtype=np.float64) + ln_i0[k]
        variance[i] = measured.variance(one, pixels).sum(dtype=np.float64) / count**2
    shared = i0_variance[energies]
    solver = Solver(design[energies], species, shared, weight[energies])
    if not len(energies) or not solver.solvable:
        raise ValueError(f"{len(energies)} energies do not determine the fit of the area")
    c = solver.gain @ od
    first, second = np.triu_indices(len(c))
    rows = solver.design * solver.weight[:, None]
    second_order = (rows[:, first] * rows[:, second]).T @ variance[:, None]
    maps = {name: np.empty(1) for name in ("fraction", "sigma", "thickness", "thickness_sigma")}
    solver.maps(c[:, None], second_order, maps)
    fit = solver.design @ c
    total = variance + shared
    freedom = len(energies) - design.shape[1]
    chi2 = float(((od - fit) ** 2 / total).sum() / freedom) if freedom > 0 else float("nan")
    return AreaSpectrum(
        index=energies, energies=axis[energies], od=od, sigma=np.sqrt(total), fit=fit,
        coefficients=c, fraction=float(maps["fraction"][0]),
        fraction_sigma=float(maps["sigma"][0]), chi2=chi2, n_pixels=count,
    )  # fmt: skip


def default_area(result: OxidationResult, share: float = 0.08) -> NDArray[np.bool_] | None:
    """A small square that shows the sample at its best.

    Parameters
    ----------
    result : OxidationResult
        Maps to choose from.
    share : float
        Side of the square as a share of the image's, at least 3 pixels.

    Returns
    -------
    numpy.ndarray of bool [ny, nx] or None
        Pixels of the mask in the square where they carry the most information on the fraction
        (the largest sum of 1/sigma^2), pixels of high optical density last. None where the
        mask is empty.
    """
    good = result.mask & ((result.flags & PixelFlag.HIGH_OD) == 0)
    if good.sum() < 4:
        good = result.mask
    if not good.any():
        return None
    ny, nx = good.shape
    side = max(3, round(share * min(ny, nx)))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(good, 1.0 / result.sigma**2, 0.0)
    summed = ndimage.uniform_filter(np.nan_to_num(value, posinf=0.0), side, mode="constant")
    y, x = np.unravel_index(int(summed.argmax()), summed.shape)
    box = np.zeros_like(good)
    box[max(0, y - side // 2) : y + side // 2 + 1, max(0, x - side // 2) : x + side // 2 + 1] = True
    return box & good
