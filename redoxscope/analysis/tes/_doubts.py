"""Does the list of lines fit the spectrum? A curve can be drawn through wrong lines as well."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.stats import chi2

from ._assign import Target
from ._gain import BEND, ORDER, energy_of, shapes_at
from ._peaks import find_pulse_peaks
from ._pixel import PixelPhotons
from ._refine import Fit

__all__ = ["lines_disagree", "missing_line", "strong_share", "unexplained_peak", "weak_line_off"]

LOW_EV = 200.0
"""Below this are noise triggers and what is left of pulses."""
ABOVE = 1.1
"""Peaks so much above the highest line are pile-up and harmonics."""
STRONG = 0.4
"""A peak is strong from this part of the median of the lines' peaks."""
LEAST_SIGMA = 5.0
OFF_SIGMA = 3.0
"""A line that the curve goes without may lie so many of its standard uncertainties off."""
ABSENT = 0.1
"""With less than this part of the photons that the others have, a line is not there. Pixels see a
mixture's lines in parts that differ by three and more."""
PROBABILITY = 0.003
"""Of lines that agree, so few parts look as if they did not."""
ELASTIC_SIGMA = 2.5
"""The elastic line's energy is what somebody set or wrote, and no table's: it is doubted sooner."""
NEAR_EV = 4.5
FAR_EV = 14.0
"""A weak line's peak is expected within the first and looked for within the second."""


def unexplained_peak(s: PixelPhotons, fit: Fit, lines: NDArray[np.float64]) -> str | None:
    """The strongest peak of a pixel that no line explains, in words; None where there is none.

    Parameters
    ----------
    s : PixelPhotons
    fit : Fit
    lines : numpy.ndarray [lines]
        Energies (eV).
    """
    peaks = find_pulse_peaks(s.height)
    if not len(peaks):
        return None
    energy = energy_of(fit.gain, peaks.height)
    away = np.abs(energy[:, None] - lines)
    within = max(1.2 * fit.fwhm, 6.0)
    explained = away.min(1) <= within
    used = explained & fit.use[away.argmin(1)]
    if not used.any():
        return None
    usual = float(np.median(peaks.counts[used]))
    strong = (peaks.counts >= STRONG * usual) & (peaks.counts >= LEAST_SIGMA**2)
    open_ = strong & ~explained & (energy > LOW_EV) & (energy < ABOVE * lines.max())
    if not open_.any():
        return None
    k = int(np.argmax(np.where(open_, peaks.counts, 0)))
    return (
        f"its peak at {energy[k]:.0f} eV ({peaks.counts[k]:.0f} photons, "
        f"{peaks.counts[k] / usual:.1f} times the usual line's) is explained by no line: the "
        f"nearest is {away[k].min():.0f} eV away"
    )


def _seen(fit: Fit) -> NDArray[np.bool_]:
    """Lines with a peak of their own, used or not; two near ones may have found the same."""
    energy = energy_of(fit.gain, fit.position)
    taken = energy[fit.use]
    seen = np.isfinite(energy)
    if len(taken):
        away = np.abs(np.nan_to_num(energy, nan=np.inf)[:, None] - taken).min(1)
        seen &= away > max(0.5 * fit.fwhm, 1.0)
    return np.asarray(seen | fit.use)


def strong_share(fits: Sequence[Fit], n: int) -> NDArray[np.float64]:
    """Part of a pixel's photons in each line, median over the pixels that have it, [n]."""
    share = np.full((len(fits), n), np.nan)
    for row, fit in zip(share, fits, strict=True):
        row[fit.use] = fit.counts[fit.use] / max(len(fit.height), 1)
    seen = np.isfinite(share).sum(0) >= max(1, 0.3 * len(fits))
    out = np.full(n, np.nan)
    if seen.any():
        out[seen] = np.nanmedian(share[:, seen], axis=0)
    return out


def missing_line(
    fit: Fit,
    targets: Sequence[Target],
    lines: NDArray[np.float64],
    share: NDArray[np.float64],
) -> str | None:
    """A strong line that the pixel does without, in words; None where there is none.

    Parameters
    ----------
    fit : Fit
    targets : sequence of Target
        Those that are expected and principal have to be there.
    lines : numpy.ndarray [lines]
        Energies (eV).
    share : numpy.ndarray [lines]
        See :func:`strong_share`; NaN for a line that the array does not show.
    """
    seen = _seen(fit)
    for k, target in enumerate(targets):
        if not target.principal or fit.use[k]:
            continue
        name = f"{target.name} ({lines[k]:.1f} eV)"
        awaited = share[k] * len(fit.height)
        if awaited < LEAST_SIGMA**2:
            continue  # too few photons to miss it
        if not (target.expected or math.isfinite(share[k])):
            continue
        if seen[k]:
            at = float(energy_of(fit.gain, fit.position[k : k + 1])[0])
            if abs(at - lines[k]) > OFF_SIGMA * math.hypot(target.sigma_ev, fit.sigma[k]):
                return (
                    f"{name} lies at {at:.1f} eV on the curve through the other lines: is the list "
                    "of lines that of the sample?"
                )
        elif not math.isfinite(share[k]):
            return f"{name} is not in its spectrum: is the list of lines that of the sample?"
        elif fit.counts[k] < ABSENT * awaited:
            return (
                f"{name} was not found: {fit.counts[k]:.0f} photons where the other pixels have "
                f"{awaited:.0f}"
            )
    return None


def lines_disagree(
    fits: Sequence[Fit], targets: Sequence[Target], limit: float = PROBABILITY
) -> str | None:
    """Whether the lines contradict each other in most pixels, in words.

    Of each pixel, χ² of the tabulated energies against all curves that bend no more than they do
    (see `BEND`), with the uncertainties of table and positions; of the array, the median, for
    the table's errors are the same in all.

    Parameters
    ----------
    fits : sequence of Fit
    targets : sequence of Target
    limit : float
        Probability below which it is told.
    """
    energy = np.array([t.energy_ev for t in targets])
    sigma = np.array([t.sigma_ev for t in targets])
    worth = np.array([t.principal for t in targets])
    values, pulls = [], []
    for fit in fits:
        k = np.flatnonzero(fit.use | (worth & _seen(fit)))
        if len(k) <= ORDER:
            continue
        top = float(fit.position[k].max())
        design = shapes_at(fit.position[k], top)
        scale = np.minimum(BEND, 10.0) * energy[k].max()
        noise = np.hypot(sigma[k], fit.sigma[k])
        inverse = np.linalg.inv((design * scale**2) @ design.T + np.diag(noise**2))
        left = inverse @ energy[k]
        values.append(chi2.sf(float(energy[k] @ left), len(k) - ORDER))
        row = np.full(len(targets), np.nan)
        # What the line would have to be moved by, and its σ: the others alone foretell it.
        row[k] = left / np.diag(inverse)
        own = np.full(len(targets), np.nan)
        own[k] = 1 / np.sqrt(np.diag(inverse))
        pulls.append((row, own))
    if not values:
        return None
    seen = np.isfinite([row for row, _ in pulls]).any(0)
    moved, own = np.full((2, len(targets)), np.nan)
    moved[seen] = np.nanmedian([row[seen] for row, _ in pulls], axis=0)
    own[seen] = np.nanmedian([o[seen] for _, o in pulls], axis=0)
    pull = np.abs(moved / own)
    worst = int(np.nanargmax(pull))
    elastic = next((k for k, t in enumerate(targets) if t.name == "elastic"), None)
    if float(np.median(values)) > limit:
        if elastic is None or not pull[elastic] > ELASTIC_SIGMA:
            return None
        worst = elastic
    return (
        f"the lines contradict each other: {targets[worst].name} is given at "
        f"{energy[worst]:.1f} eV, but the others say {energy[worst] - moved[worst]:.1f} ± "
        f"{math.sqrt(max(own[worst] ** 2 - sigma[worst] ** 2, 0)):.1f} eV; wrong list of lines, or "
        "wrong elastic energy?"
    )


def weak_line_off(
    fits: Sequence[Fit], targets: Sequence[Target], lines: NDArray[np.float64]
) -> str | None:
    """Whether a weak line, through which no curve was drawn, comes out elsewhere, in words.

    Looked for in the photons of all pixels together, where no other line is near.

    Parameters
    ----------
    fits : sequence of Fit
    targets : sequence of Target
    lines : numpy.ndarray [lines]
        Energies (eV).
    """
    if not fits:
        return None
    energy = np.concatenate([energy_of(fit.gain, fit.height) for fit in fits])
    width = float(np.median([fit.fwhm for fit in fits]))
    blur = max(0.5 * width / 2.355, 1.0)
    elements = {t.name.split()[0] for k, t in enumerate(targets) if any(f.use[k] for f in fits)}
    for k, target in enumerate(targets):
        if target.principal or any(fit.use[k] for fit in fits):
            continue
        if target.name.split()[0] not in elements:
            continue
        edges = np.arange(target.energy_ev - FAR_EV, target.energy_ev + FAR_EV + 0.5, 0.5)
        counts = np.histogram(energy, edges)[0]
        scale = 2 * math.sqrt(math.pi) * blur / 0.5  # to photons per kernel area
        density = gaussian_filter1d(counts.astype(float), blur / 0.5, mode="nearest") * scale
        found, info = find_peaks(density, prominence=1.0)
        at = edges[found] + 0.25
        sure = info["prominences"] > LEAST_SIGMA * np.sqrt(density[found] + 1)
        others = np.delete(lines, k)
        away = np.abs(at[:, None] - others).min(1)
        good = sure & (away > NEAR_EV)
        near = np.abs(at - target.energy_ev)
        if good.any() and near[sure].min() > max(NEAR_EV, 3 * target.sigma_ev):
            place = float(at[good][near[good].argmin()])
            return (
                f"{target.name} comes out at {place:.1f} eV instead of {target.energy_ev:.1f} eV "
                "in all pixels together; wrong list of lines, or wrong elastic energy?"
            )
    return None
