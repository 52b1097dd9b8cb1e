"""What changed from before the heating to after it, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.xas import Comparison, Spectrum, compare
from ..data import rixs_preset

__all__ = [
    "EDGES",
    "METALS",
    "MapPair",
    "Pair",
    "Temperature",
    "compared",
    "map_pair",
    "window_of",
    "yields_of",
]

Array = NDArray[np.float64]

METALS = ("Ni L", "Co L", "Mn L")
EDGES = (*METALS, "O K")
MODES = ("TEY", "TFY", "PFY", "sPFY")

ENERGY_SIGMA = 0.01
"""How well two runs share an energy scale (eV): what the simulated monochromator repeats to."""

LIMIT = 3.0
"""Standard deviations from which on a change counts as one, all comparisons taken together."""


LOWER = {"Ni L": (852.4, 854.0), "Co L": (778.0, 779.4), "Mn L": (641.0, 642.4)}
"""Energies (eV) around the L3 maximum of the lower valence: what is reduced absorbs more there."""

MOST = 37.0
"""Standard deviations; beyond it, the probability is smaller than a number can be."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A spectrum before and after, and what changed.

    Attributes
    ----------
    edge, mode : str
    before, after : Spectrum
    found : Comparison
        Of the area in `window`.
    whole : Comparison
        Of the whole spectrum: position and shape.
    window : (float, float)
        Energies of the lower valence, or at O K those of oxidised oxygen (eV).
    """

    edge: str
    mode: str
    before: Spectrum
    after: Spectrum
    found: Comparison
    whole: Comparison
    window: tuple[float, float]

    @property
    def significant(self) -> bool:
        """Whether the area or the spectrum as a whole changed."""
        return bool(self.found.significant or self.whole.significant)

    @property
    def significance(self) -> float:
        """Of the more significant of the two (standard deviations), `MOST` at most."""
        return float(min(max(self.found.significance, self.whole.significance), MOST))

    def summary(self) -> dict[str, Any]:
        """As ``summary.json`` has it."""
        return {
            "edge": self.edge,
            "mode": self.mode,
            "change": _number(self.found.change),
            "sigma": _number(self.found.change_sigma),
            "unit": self.found.unit,
            "window_ev": list(self.window),
            "shift_ev": _number(self.whole.change),
            "shift_sigma_ev": _number(self.whole.change_sigma),
            "significance": _number(self.significance),
            "significant": self.significant,
            "text": str(self),
        }

    def __str__(self) -> str:
        seen = "changed" if self.significant else "no change seen"
        more = "more than " if self.significance >= MOST else ""
        return (
            f"{self.edge:4} {self.mode:4} {seen:14} {self.found.change:+7.2f} ± "
            f"{self.found.change_sigma:.2f} % at {self.window[0]:g} to {self.window[1]:g} eV, "
            f"{more}{self.significance:.1f} σ"
        )


@dataclass(frozen=True, eq=False)
class MapPair:
    """A RIXS map before and after; arrays [nE, nb] of the emission that is shown."""

    energies: Array
    emission: Array
    before: Array
    after: Array
    difference: Array
    sigma: Array
    """Standard deviation of the difference; the difference is averaged with its neighbours."""


@dataclass(frozen=True, eq=False)
class Temperature:
    """T(t) of the run with the heating.

    Attributes
    ----------
    hours, celsius : ndarray [n]
        Of the heater's clock, from the begin of the run; as it was monitored.
    phases : mapping of str to float
        Hours at which a phase was over.
    soak : mapping of str to float
        What the soak clock counted.
    """

    hours: Array
    celsius: Array
    phases: Mapping[str, float]
    soak: Mapping[str, float]

    def settle_s(self, target: float, tolerance: float) -> float:
        """From the first reading in band to *done* (s); NaN where it was never in band."""
        near = np.abs(self.celsius - target) <= tolerance
        if "reached" not in self.phases or not near.any():
            return math.nan
        return float(max(self.phases["reached"] - self.hours[near][0], 0.0) * 3600)

    def overshoot_c(self, target: float) -> float:
        """Above the target at most (°C), from begin to end: not in the soak alone."""
        return float(np.nanmax(self.celsius - target, initial=0.0))


def _number(value: float) -> float | None:
    """The value, None where there is none: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def yields_of(snapshot: Any, edge: str) -> dict[str, Spectrum]:
    """PFY and sPFY of a RIXS map as spectra, each of the first such window."""
    found: dict[str, Spectrum] = {}
    for kind in ("PFY", "sPFY"):
        one = next((y for y in snapshot.yields.values() if y.window.kind == kind), None)
        if one is None:
            continue
        order = np.argsort(one.energies)
        energy, value, sigma = (a[order] for a in (one.energies, one.value, one.sigma))
        known = np.isfinite(value)
        found[kind] = Spectrum(
            energy[known], value[known], sigma[known], mode=kind, edge=edge, n=snapshot.passes
        )
    return found


def compared(
    before: Mapping[tuple[str, str], Spectrum],
    after: Mapping[tuple[str, str], Spectrum],
    trials: int | None = None,
) -> list[Pair]:
    """Every spectrum that was taken before and after; by edge and mode.

    Two questions each: whether the area changed where the lower valence (at O K: oxidised oxygen)
    absorbs, and whether the spectrum as a whole moved or changed its shape. The more questions,
    the more must each differ: `LIMIT` is for all of them together, or for `trials`.
    """
    both = [
        (edge, mode)
        for edge in EDGES
        for mode in MODES
        if (edge, mode) in before and (edge, mode) in after
    ]
    asked: dict[str, Any] = {
        "energy_sigma": ENERGY_SIGMA,
        "limit": LIMIT,
        "trials": 2 * len(both) if trials is None else trials,
    }
    return [
        Pair(
            edge,
            mode,
            before[edge, mode],
            after[edge, mode],
            compare(before[edge, mode], after[edge, mode], window=window_of(edge), **asked),
            compare(before[edge, mode], after[edge, mode], **asked),
            window_of(edge),
        )
        for edge, mode in both
    ]


def window_of(edge: str) -> tuple[float, float]:
    """Where a change is looked for (eV)."""
    feature = rixs_preset(edge).feature
    return LOWER[edge] if feature is None else feature.excitation


def map_pair(before: Any, after: Any, emission: tuple[float, float]) -> MapPair:
    """Two RIXS maps and their difference in a range of emission (eV).

    The difference is averaged over 3 x 3 cells, since a cell has few photons.
    """
    bins = before.bins
    if not np.array_equal(before.energies, after.energies) or bins != after.bins:
        raise ValueError("the maps before and after are not of the same energies")
    order = np.argsort(before.energies)
    shown = (bins.centers >= emission[0]) & (bins.centers <= emission[1])
    cells = np.ix_(order, shown)
    first, second = before.result.rate[cells], after.result.rate[cells]
    sigma = np.hypot(before.result.sigma[cells], after.result.sigma[cells])
    difference = second - first
    variance = np.where(np.isfinite(difference), sigma**2, np.nan)
    return MapPair(
        before.energies[order],
        bins.centers[shown],
        first,
        second,
        _averaged(difference),
        _averaged(variance, squared=True),
    )


def _averaged(values: Array, *, squared: bool = False) -> Array:
    """Mean over each cell and its neighbours; for variances, sigma of that mean."""
    known = np.isfinite(values)
    total = _neighbours(np.where(known, values, 0.0))
    n = _neighbours(known.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(total) / n if squared else total / n)


def _neighbours(values: Array) -> Array:
    padded = np.pad(values, 1)
    rows, columns = values.shape
    shifted: Sequence[Array] = [
        padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)
    ]
    return np.sum(shifted, axis=0)
