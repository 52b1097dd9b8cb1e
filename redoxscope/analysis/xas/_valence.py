"""Valence from the position of an edge, with standards of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from redoxscope.inputs import as_number

from ._spectrum import Array

__all__ = ["ValenceLine", "calibrate_valence"]


@dataclass(frozen=True, eq=False)
class ValenceLine:
    """A straight line through standards: energy (eV) of the edge over the valence.

    Attributes
    ----------
    slope, slope_sigma : float
        eV per valence.
    scatter : float
        Standard deviation of the standards around the line (eV): ligands and structures differ,
        and that is no noise.
    middle : float
        Mean valence of the standards, at which the line is known best.
    energy : float
        Energy of the line there (eV).
    names : tuple of str
    rest : numpy.ndarray [s]
        Each standard less the line (eV).
    valences : tuple of float
        Smallest and largest of the standards.
    """

    slope: float
    slope_sigma: float
    scatter: float
    middle: float
    energy: float
    names: tuple[str, ...]
    rest: Array
    valences: tuple[float, float]
    _spread: float
    """Sum of the squared distances of the standards' valences from the mean."""

    def valence(self, position: float, sigma: float = 0.0) -> tuple[float, float]:
        """Valence of an edge at this energy, and its standard deviation.

        In it are the position's own sigma, the scatter of a single compound around the line, and
        how well the line is known there.

        Parameters
        ----------
        position, sigma : float
            Energy of the edge (eV), by the same method as the standards', and its sigma.

        Raises
        ------
        ValueError
            One is no number.
        """
        position = as_number("position", position, "eV")
        sigma = as_number("sigma", sigma, "eV", at_least=0)
        value = self.middle + (position - self.energy) / self.slope
        n = len(self.names)
        line = 1 / n + (value - self.middle) ** 2 / self._spread
        return value, math.sqrt(sigma**2 + self.scatter**2 * (1 + line)) / abs(self.slope)

    def inside(self, valence: float) -> bool:
        """Whether the standards reach so far."""
        return self.valences[0] <= valence <= self.valences[1]

    def __str__(self) -> str:
        return (
            f"{self.slope:.2f} ± {self.slope_sigma:.2f} eV per valence, scatter "
            f"{self.scatter:.2f} eV, from {len(self.names)} standards"
        )


def calibrate_valence(standards: Mapping[str, Any]) -> ValenceLine:
    """Fit a line through standards of the user's own.

    There is no line built in: the slope depends on ligand and structure more than on the
    metal (three compounds of Mn2+ lie 3 eV above MnO). Standards should have the same ligand as
    what is measured.

    Parameters
    ----------
    standards : dict of str to (position, valence) or (position, sigma, valence)
        Energy of the edge (eV), its sigma (eV) where it is known, and the valence, by name.

    Raises
    ------
    ValueError
        Fewer than 3 standards (the scatter of a line through two is not known), all of one
        valence, a line that does not rise or fall beyond its sigma, or what is no number.
    """
    if not isinstance(standards, Mapping):
        raise ValueError(
            f"standards = {standards!r:.60} must be a mapping of names to (position, valence)"
        )
    rows = [_row(name, given) for name, given in standards.items()]
    if len(rows) < 3:
        raise ValueError(
            f"{len(rows)} standards given; a line with a scatter needs at least 3 of them"
        )
    position, own, valence = np.array(rows).T
    middle, energy = float(valence.mean()), float(position.mean())
    spread = float(((valence - middle) ** 2).sum())
    if not spread > 0:
        raise ValueError(f"all standards have the valence {middle:g}; at least two are needed")
    slope = float((valence - middle) @ (position - energy)) / spread
    rest = position - energy - slope * (valence - middle)
    scatter = math.sqrt(float((rest**2).sum()) / (len(rows) - 2))
    # Standards that are not known better than that cannot show a smaller scatter.
    scatter = max(scatter, math.sqrt(float((own**2).mean())))
    sigma = scatter / math.sqrt(spread)
    if not abs(slope) > 2 * sigma:
        raise ValueError(
            f"the standards give {slope:.2f} ± {sigma:.2f} eV per valence, which is no slope"
        )
    return ValenceLine(
        slope,
        sigma,
        scatter,
        middle,
        energy,
        tuple(map(str, standards)),
        rest,
        (float(valence.min()), float(valence.max())),
        spread,
    )


def _row(name: Any, given: Any) -> tuple[float, float, float]:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ValueError(
            f"standard {name!r:.40} = {given!r:.60} must be (position, valence) or (position, "
            "sigma, valence)"
        )
    position = as_number(f"standard {name!r:.40}: position", given[0], "eV", above=0)
    sigma = 0.0
    if len(given) == 3:
        sigma = as_number(f"standard {name!r:.40}: sigma", given[1], "eV", at_least=0)
    return position, sigma, as_number(f"standard {name!r:.40}: valence", given[-1])
