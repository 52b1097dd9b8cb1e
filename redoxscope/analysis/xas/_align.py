"""Energy scales that drift, from a reference measured at the same time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from redoxscope.inputs import as_number, as_pair, as_whole

from ._local import local_fit, with_noise
from ._normalise import HARD_EV, blur_of, edge_energy
from ._spectrum import Array, Spectrum

__all__ = ["Alignment", "Remainder", "align", "remainder"]

AROUND_HARD = (-15.0, 35.0)
AROUND_SOFT = (-4.0, 10.0)
ROUNDS = 30
STEP_P = 0.05
FEWEST = 8
ALIKE = 0.5
"""Part of what a reference has beside a straight line that another, moved, must explain."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """By how much each spectrum has to be moved.

    Attributes
    ----------
    names : tuple of str
        Of the references.
    shifts, sigma : numpy.ndarray [k]
        What has to be added to the energies of each (eV), and its standard deviation from noise
        and from what differs in the references' shapes. 0 for the one all are moved to.
    window : tuple of float
        Energies (eV) compared, on the scale of the one all are moved to.
    """

    names: tuple[str, ...]
    shifts: Array
    sigma: Array
    window: tuple[float, float]

    def applied(self, spectra: Sequence[Spectrum]) -> list[Spectrum]:
        """The spectra measured with the references, moved.

        Raises
        ------
        ValueError
            There are not as many as references.
        """
        if len(spectra) != len(self.shifts):
            raise ValueError(f"{len(spectra)} spectra given, but {len(self.shifts)} were aligned")
        return [each.shifted(float(by)) for each, by in zip(spectra, self.shifts, strict=True)]


@dataclass(frozen=True)
class Remainder:
    """What an alignment did not remove from a series of positions.

    Attributes
    ----------
    spread_ev, rms_ev : float
        Largest less smallest position, and their standard deviation (eV).
    step_ev, step_sigma_ev : float
        The largest step in the series and its standard deviation; NaN where none stands out.
    step_after : str
        Name of the spectrum after which it comes; empty where there is none.
    p : float
        Probability of such a step in positions that scatter by chance.
    text : str
        The same in words.
    """

    spread_ev: float
    rms_ev: float
    step_ev: float
    step_sigma_ev: float
    step_after: str
    p: float
    text: str


def align(references: Sequence[Spectrum], *, to: int = 0, window: Any = None) -> Alignment:
    """Find how far references of the same material lie apart in energy.

    The curves are compared by least squares, from 15 eV below the edge to 35 eV above it (4 and
    10 eV for soft X-rays); height and a straight background are free, so that thickness does not
    matter.

    Parameters
    ----------
    references : sequence of Spectrum
        Of the same material, measured together with what is to be aligned.
    to : int
        Which of them the others are moved to.
    window : (float, float), optional
        Energies (eV) to compare, on that one's scale.

    Raises
    ------
    ValueError
        There is none, no such one, or a reference does not cover the window or has another shape.
    """
    references = [with_noise(each) for each in references]
    if not references:
        raise ValueError("no references given; at least one is needed")
    to = as_whole("to", to, at_most=len(references) - 1)
    target = references[to]
    e0 = edge_energy(target)
    energy = target.energy[target.known]
    if window is None:
        around = AROUND_HARD if energy[0] > HARD_EV else AROUND_SOFT
        low, high = max(e0 + around[0], energy[0]), min(e0 + around[1], energy[-1])
    else:
        low, high = (as_number("window", each, "eV") for each in as_pair("window", window, "eV"))
    use = (energy >= low) & (energy <= high)
    if use.sum() < FEWEST or low < energy[0] or high > energy[-1]:
        raise ValueError(
            f"window = ({low:g}, {high:g}) eV is not covered by {target.called}: {use.sum()} "
            f"points from {energy[0]:g} to {energy[-1]:g} eV; at least {FEWEST} are needed"
        )
    wanted = target.changed(
        energy=energy[use],
        value=target.value[target.known][use],
        sigma=target.sigma[target.known][use],
    )
    found = [
        (0.0, 0.0) if k == to else _apart(each, wanted, edge_energy(each) - e0)
        for k, each in enumerate(references)
    ]
    shifts, sigma = np.array(found).T
    names = tuple(each.name or f"spectrum {k + 1}" for k, each in enumerate(references))
    return Alignment(names, shifts, sigma, (float(low), float(high)))


def _apart(spectrum: Spectrum, wanted: Spectrum, guess: float) -> tuple[float, float]:
    """What has to be added to a spectrum's energies, and its sigma (eV).

    Raises
    ------
    ValueError
        The window lies beyond it, or nothing in it is alike.
    """
    known = spectrum.known
    energy, value = spectrum.energy[known], spectrum.value[known]
    at = wanted.energy
    line = np.stack([np.ones(len(at)), (at - at.mean()) / np.ptp(at)], axis=1)

    def covers(moved: float) -> bool:
        return bool(at[0] + moved >= energy[0] and at[-1] + moved <= energy[-1])

    def misfit(moved: float) -> float:
        basis = np.column_stack([np.interp(at + moved, energy, value), line])
        left, *_ = np.linalg.lstsq(basis, wanted.value, rcond=None)
        rest = wanted.value - basis @ left
        return float(rest @ rest) if left[0] > 0 else math.inf

    blur = blur_of(energy)
    tried = [guess + off for off in blur * np.arange(-15, 15.25, 0.5)]
    moved = min(filter(covers, tried), key=misfit, default=math.nan)
    for _ in range(ROUNDS):
        if not math.isfinite(moved) or not covers(moved):
            break
        fit = local_fit(energy, value, at + moved, blur / 2)
        basis = np.column_stack([fit.coefficients[:, :2], line])
        left, *_ = np.linalg.lstsq(basis, wanted.value, rcond=None)
        change = float(np.clip(left[1] / left[0], -blur, blur)) if left[0] > 0 else math.nan
        moved += change
        if abs(change) < 1e-5 * blur:
            break
    if not math.isfinite(moved) or not covers(moved):
        raise ValueError(
            f"{spectrum.called} has {energy[0]:g} to {energy[-1]:g} eV and cannot be aligned over "
            f"{at[0]:g} to {at[-1]:g} eV: it does not reach so far, or nothing in it rises there"
        )
    rest = wanted.value - basis @ left
    straight = wanted.value - line @ np.linalg.lstsq(line, wanted.value, rcond=None)[0]
    if not rest @ rest <= (1 - ALIKE) * float(straight @ straight):
        raise ValueError(
            f"{spectrum.called} has no edge like that of {wanted.called} from {at[0]:g} to "
            f"{at[-1]:g} eV, so it cannot be aligned on it"
        )
    height = float(left[0])
    noise = np.nan_to_num(wanted.sigma) ** 2
    noise = noise + (height * fit.sigma(0, np.nan_to_num(spectrum.sigma[known]))) ** 2
    # Where shapes differ, neighbours differ alike: fewer of them are independent.
    alike = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)
    alike = min(max(alike, 0.0), 0.95)
    inverse = np.linalg.pinv(basis.T @ basis)
    size = np.maximum(rest**2 * (1 + alike) / (1 - alike), noise)
    cov = inverse @ (basis.T * size) @ basis @ inverse
    return -moved, math.sqrt(cov[1, 1]) / height


def remainder(names: Sequence[str], positions: Sequence[float]) -> Remainder:
    """What is left in a series of positions that should be the same: spread, and a step.

    For each place where the series can be cut the means of both sides are compared (t test); the
    best one is a step where its probability, times the number of places, is below 5 %.

    Parameters
    ----------
    names : sequence of str
    positions : sequence of float
        In the order measured (eV).

    Raises
    ------
    ValueError
        Not as many names as positions, or fewer than 2.
    """
    values = np.asarray(positions, dtype=float)
    if len(names) != len(values) or len(values) < 2:
        raise ValueError(
            f"{len(names)} names and {len(values)} positions given; as many, and at least 2, are "
            "needed"
        )
    known = np.isfinite(values)
    names, values = [n for n, k in zip(names, known, strict=True) if k], values[known]
    if len(values) < 2:
        return Remainder(math.nan, math.nan, math.nan, math.nan, "", 1.0, "No positions are known.")
    spread, rms = float(np.ptp(values)), float(np.std(values, ddof=1))
    told = f"After alignment {spread:.2f} eV remain between the positions (rms {rms:.2f} eV)"
    best = (1.0, 0, 0.0, 0.0)
    for cut in range(2, len(values) - 1):
        left, right = values[:cut], values[cut:]
        inner = float(((left - left.mean()) ** 2).sum() + ((right - right.mean()) ** 2).sum())
        sigma = math.sqrt(inner / (len(values) - 2) * (1 / len(left) + 1 / len(right)))
        step = float(right.mean() - left.mean())
        p = 0.0 if sigma == 0 else float(2 * stats.t.sf(abs(step) / sigma, len(values) - 2))
        if step and p < best[0]:
            best = p, cut, step, sigma
    p = min(1.0, best[0] * max(len(values) - 3, 1))
    if not (best[1] and p < STEP_P):
        return Remainder(spread, rms, math.nan, math.nan, "", p, f"{told}; no step in them.")
    after, before = names[best[1] - 1], names[best[1]]
    text = f"{told}, with a step of {best[2]:+.2f} ± {best[3]:.2f} eV between {after} and {before}."
    return Remainder(spread, rms, best[2], best[3], after, p, text)
