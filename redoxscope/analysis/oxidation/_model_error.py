"""What the fit does not explain: an energy offset that all pixels share, or one species more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._result import AreaSpectrum, OxidationResult
from ._stack import StackFit

__all__ = ["ModelError", "model_error"]

Array = NDArray[np.float64]
WORST = 0.1
"""Share of the pixels of the mask that are looked at apart: those with the largest chi-square."""
LEAST = 20
"""... and at least so many."""
FARTHEST = 1.5
"""eV to which an offset is looked for, each way."""
STEP = 0.05
HALF = 0.01
"""eV over which a slope is taken, each way."""


@dataclass(frozen=True)
class ModelError:
    """What mean spectra say of the references.

    Attributes
    ----------
    offset, offset_sigma : float
        How much higher the true energies are than those of the stack, by the references (eV), for
        all pixels of the mask together; and its standard deviation, with what the fit misses
        still. At the end of what is looked through the offset may be larger, and σ is infinite.
    chi2, chi2_shifted : float
        Reduced chi-square of the mean spectrum of the mask, without and with that offset.
    worst : AreaSpectrum
        Of the pixels with the largest chi-square.
    worst_shifted : float
        Its reduced chi-square with the offset of all pixels.
    residual, residual_energy, residual_sigma : float
        What is left of the worst pixels with it: the largest in terms of its σ (OD), where (eV).
    area : numpy.ndarray of bool [ny, nx]
        The worst pixels.
    """

    offset: float
    offset_sigma: float
    chi2: float
    chi2_shifted: float
    worst: AreaSpectrum
    worst_shifted: float
    residual: float
    residual_energy: float
    residual_sigma: float
    area: NDArray[np.bool_]


def model_error(
    fit: StackFit, result: OxidationResult, design_at: Callable[[Array], Array]
) -> ModelError | None:
    """Ask mean spectra what single pixels are too noisy to tell.

    The statistical σ knows nothing of references that do not suit. The mean spectrum of all pixels
    is fitted with the references moved in energy, by one number (Gauss-Newton, from the best of a
    grid); what the worst pixels differ by beyond that is no shift: they hold something that no
    reference has.

    Parameters
    ----------
    fit : StackFit
        With its energies.
    result : OxidationResult
        Its maps.
    design_at : callable
        Design matrix [n, K+1] at energies (eV) [n].

    Returns
    -------
    ModelError or None
        None where there are too few pixels, or no energy beyond the coefficients and the offset.

    Raises
    ------
    ValueError
        Of ``design_at``: the energies of the mean spectrum do not tell the references apart.
    """
    chi2 = np.where(result.mask, result.chi2, -np.inf)
    n = max(LEAST, round(WORST * result.n_mask))
    if result.n_mask < LEAST or not np.isfinite(fit.energies).all():
        return None
    area = np.zeros(result.mask.shape, dtype=bool)
    area.ravel()[np.argsort(chi2, axis=None)[-n:]] = True
    area &= result.mask
    try:
        mean, worst = fit.area_spectrum(result.mask), fit.area_spectrum(area)
    except ValueError:  # its lines have no common set of energies
        return None
    columns = fit.design.shape[1]
    if min(len(mean.od), len(worst.od)) < columns + 2:
        return None
    offset, sigma, shifted = _shifted(mean, design_at)
    left, worst_shifted = _fitted(worst, design_at(worst.energies + offset))
    at = int(np.argmax(np.abs(left / worst.sigma)))
    return ModelError(
        offset, sigma, mean.chi2, shifted, worst, worst_shifted, float(left[at]),
        float(worst.energies[at]), float(worst.sigma[at]), area,
    )  # fmt: skip


def _fitted(spectrum: AreaSpectrum, design: Array) -> tuple[Array, float]:
    """Residual [n] and reduced chi-square of a weighted fit."""
    rows = design / spectrum.sigma[:, None]
    c = np.linalg.lstsq(rows, spectrum.od / spectrum.sigma, rcond=None)[0]
    left = spectrum.od - design @ c
    freedom = len(left) - design.shape[1]
    return left, float(np.square(left / spectrum.sigma).sum() / freedom)


def _shifted(
    spectrum: AreaSpectrum, design_at: Callable[[Array], Array]
) -> tuple[float, float, float]:
    """Offset (eV), its σ, and the reduced chi-square with it."""
    e, s = spectrum.energies, spectrum.sigma
    grid = np.arange(-FARTHEST, FARTHEST + STEP / 2, STEP)
    offset = float(min(grid, key=lambda shift: _fitted(spectrum, design_at(e + shift))[1]))
    variance = np.nan
    for _ in range(10):
        design = design_at(e + offset)
        c = np.linalg.lstsq(design / s[:, None], spectrum.od / s, rcond=None)[0]
        up, down = (design_at(e + offset + step) @ c for step in (HALF, -HALF))
        whole = np.column_stack([design, (up - down) / (2 * HALF)]) / s[:, None]
        more = np.linalg.lstsq(whole, spectrum.od / s, rcond=None)[0][-1]
        variance = float(np.linalg.pinv(whole.T @ whole)[-1, -1])
        offset = float(np.clip(offset + np.clip(more, -STEP, STEP), -FARTHEST, FARTHEST))
        if abs(more) < 1e-4:
            break
    left, _ = _fitted(spectrum, design_at(e + offset))
    chi2 = float(np.square(left / s).sum() / max(len(e) - design.shape[1] - 1, 1))
    sigma = float(np.sqrt(variance * max(chi2, 1.0)))
    return offset, np.inf if abs(offset) > FARTHEST - STEP else sigma, chi2
