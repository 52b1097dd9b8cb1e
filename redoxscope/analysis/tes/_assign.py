"""Which peak is which line: every pair of peaks against every pair of lines, then the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._gain import energy_of, fit_gain, rises
from ._peaks import Peaks

__all__ = ["Candidate", "Target", "candidates", "rate"]

GAIN_RATIO = (0.85, 1.7)
"""Energy per pulse height at the upper line over that at the lower one: detectors of this kind
saturate, they never do the opposite by much."""
BENDS = (1, 3)
"""Powers of the pulse height with which the gain of two terms may bend: evenly over the range, or
at its upper end, where a detector saturates."""
COARSE_EV = 8.0
"""How far from its line (eV) a peak may be with a gain of two terms: real ones leave 10 eV."""
FINE_EV = 3.5
REFINED = 60
KEPT = 6
MISSING = 0.6
"""What an expected but missing line costs, in units of the median peak."""


@dataclass(frozen=True)
class Target:
    """A line as the assignment sees it.

    Attributes
    ----------
    name : str
    energy_ev : float
    sigma_ev : float
        Standard uncertainty (eV).
    principal : bool
        Strong enough that a spectrum without it is suspect; the others may explain a peak.
    expected : bool
        The sample is known to have it: where no pixel shows it, the list is not the sample's.
    """

    name: str
    energy_ev: float
    sigma_ev: float
    principal: bool = True
    expected: bool = False


@dataclass(frozen=True)
class Candidate:
    """One way to assign peaks to lines.

    Attributes
    ----------
    gain : numpy.ndarray [ORDER]
    score : float
        Higher is better; within one pixel only.
    """

    gain: NDArray[np.float64]
    score: float


def _score(
    energy: NDArray[np.float64],
    weight: NDArray[np.float64],
    lines: NDArray[np.float64],
    principal: NDArray[np.bool_],
    tolerance: float,
) -> NDArray[np.float64]:
    """Score [m] of `energy` [m, peaks]: peaks explained, less principal lines not found."""
    nearest = np.searchsorted((lines[1:] + lines[:-1]) / 2, energy)
    quality = np.exp(-0.5 * ((energy - lines[nearest]) / tolerance) ** 2)
    # A line explains one peak only: the best of those that claim it.
    total = np.zeros(len(energy))
    found = np.zeros((len(energy), len(lines)))
    rows = np.arange(len(energy))
    for k in range(energy.shape[1]):
        line = nearest[:, k]
        value = weight[k] * quality[:, k]
        gained = np.maximum(value - found[rows, line], 0)
        found[rows, line] += gained
        total += gained
    missing = (found[:, principal] < 0.2 * np.median(weight)).sum(1)
    return total - MISSING * np.median(weight) * missing


def candidates(peaks: Peaks, targets: list[Target], kept: int = KEPT) -> list[Candidate]:
    """The best ways to assign the peaks of one pixel to lines, best first.

    Parameters
    ----------
    peaks : Peaks
    targets : list of Target
        Energies rising.
    kept : int
        At most so many, all different.
    """
    lines = np.array([t.energy_ev for t in targets])
    principal = np.array([t.principal for t in targets])
    sigma = np.array([t.sigma_ev for t in targets])
    if len(peaks) < 3 or principal.sum() < 3:
        return []
    h = peaks.height
    weight = np.sqrt(peaks.counts)
    strong = np.sort(np.argsort(weight)[::-1][: principal.sum() + 4])
    i, j = (strong[k] for k in np.triu_indices(len(strong), 1))
    main = lines[principal]
    a, b = np.triu_indices(len(main), 1)
    # Two-term gain through two points, for every pair of peaks [p, 1] and of lines [1, q].
    h1, h2 = h[i][:, None], h[j][:, None]
    k1, k2 = main[a] / h1, main[b] / h2
    ratio = k2 / k1
    good = (ratio > GAIN_RATIO[0]) & (ratio < GAIN_RATIO[1])
    if not good.any():
        return []
    starts = []
    for power in BENDS:
        g1 = (k2 - k1) / (h2**power - h1**power)
        g0 = k1 - g1 * h1**power
        starts.append(h * (g0[good][:, None] + g1[good][:, None] * h**power))
    energy = np.concatenate(starts)
    order = np.argsort(_score(energy, weight, lines, principal, COARSE_EV))[::-1][:REFINED]
    tried: set[tuple[tuple[int, int], ...]] = set()
    refined = [
        c for k in order if (c := _refine(peaks, weight, lines, sigma, principal, energy[k], tried))
    ]
    refined.sort(key=lambda c: -c.score)
    out: list[Candidate] = []
    for c in refined:
        e = energy_of(c.gain, h[strong])
        if all(np.abs(e - energy_of(o.gain, h[strong])).max() > 4 for o in out):
            out.append(c)
        if len(out) == kept:
            break
    return out


def rate(peaks: Peaks, targets: list[Target], gain: NDArray[np.float64]) -> float:
    """Score of a gain curve from elsewhere, on the scale of :func:`candidates`."""
    if not len(peaks):
        return 0.0
    lines = np.array([t.energy_ev for t in targets])
    principal = np.array([t.principal for t in targets])
    energy = energy_of(gain, peaks.height)[None]
    return float(_score(energy, np.sqrt(peaks.counts), lines, principal, FINE_EV)[0])


def _refine(
    peaks: Peaks,
    weight: NDArray[np.float64],
    lines: NDArray[np.float64],
    sigma: NDArray[np.float64],
    principal: NDArray[np.bool_],
    energy: NDArray[np.float64],
    tried: set[tuple[tuple[int, int], ...]],
) -> Candidate | None:
    """Fit the whole curve to the lines that the peaks are near to, again and again.

    `tried` holds the assignments that other starts came to; such a one is given up.
    """
    h = peaks.height
    gain = None
    for tolerance in (2 * COARSE_EV, 3 * FINE_EV, 3 * FINE_EV):
        near = np.abs(energy[:, None] - lines)
        line = near.argmin(1)
        chosen: dict[int, int] = {}
        for k in np.argsort(weight):  # the strongest peak near a line comes last, and stays
            if near[k, line[k]] < tolerance:
                chosen[int(line[k])] = int(k)
        pairs = tuple(sorted(chosen.items()))
        if len(pairs) < 3:
            return None
        if gain is None:
            if pairs in tried:
                return None
            tried.add(pairs)
        which = np.array(list(chosen))
        at = np.array(list(chosen.values()))
        gain = fit_gain(h[at], lines[which], np.hypot(sigma[which], 0.5 + 10 / weight[at] ** 2))
        energy = energy_of(gain, h)
    assert gain is not None
    if not rises(gain, 0.25 * h.max(), h.max()):
        return None
    score = _score(energy[None], weight, lines, principal, FINE_EV)[0]
    return Candidate(gain, float(score))
