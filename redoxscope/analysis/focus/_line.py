"""A0 and A1 from best foci at several energies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...inputs import as_number, as_numbers, as_pair

__all__ = ["SPREAD", "FocusLine", "fit_focus"]

Array = NDArray[np.float64]

SPREAD = 1.0
"""Least difference of energies (eV) that tell A0 from A1."""


@dataclass(frozen=True, eq=False)
class FocusLine:
    """Where the zone plate focuses on the sample: ``z = A0 - A1·E``.

    Attributes
    ----------
    a0, a0_sigma : float
        Distance from the aperture to the sample and its standard deviation (µm).
    a1, a1_sigma : float
        Focal length over energy and its standard deviation (µm/eV).
    covariance : numpy.ndarray [2, 2]
        Of A0 and A1: they are known together much better than each alone.
    energies, z, sigma : numpy.ndarray [n]
        Best foci: eV, µm, µm.
    chi2 : float
        Reduced; NaN where there are no more foci than unknowns. Where it is above 1, sigmas are
        larger by its root.
    """

    a0: float
    a0_sigma: float
    a1: float
    a1_sigma: float
    covariance: Array
    energies: Array
    z: Array
    sigma: Array
    chi2: float

    def z_at(self, energy: float) -> tuple[float, float]:
        """Position of the best focus at an energy (eV) and its standard deviation (µm)."""
        way = np.array([1.0, -energy])
        return self.a0 - self.a1 * energy, float(np.sqrt(way @ self.covariance @ way))


def fit_focus(
    energies: Any,
    z: Any,
    sigma: Any,
    *,
    a0: Any = None,
    a1: Any = None,
) -> FocusLine:
    """Fit A0 and A1 to best foci.

    Parameters
    ----------
    energies : array_like [n]
        True photon energies (eV). An error common to all of them shifts A0.
    z, sigma : array_like [n]
        Best foci and their standard deviations (µm, zero at the plane of the aperture), with the
        sample in its plane: take off what the sample stood beside it.
    a0 : (float, float), optional
        A0 and its standard deviation (µm) where it was measured besides: the distance of the best
        foci on sample and aperture at one energy.
    a1 : (float, float), optional
        A1 and its standard deviation (µm/eV) where it is known; needed where all foci are of one
        energy and A0 is not given.

    Raises
    ------
    ValueError
        Lists of different length; a value that is none; fewer than 2 energies, and neither A0 nor
        A1 given.
    """
    at = np.array(as_numbers("energies", energies, "eV", above=0))
    found = np.array(as_numbers("z", z, "µm"))
    error = np.array(as_numbers("sigma", sigma, "µm", above=0))
    if not len(at) == len(found) == len(error) or not len(at):
        raise ValueError(
            f"{len(at)} energies, {len(found)} positions and {len(error)} sigmas given; as many of "
            "each, and at least one, are needed"
        )
    rows = [np.column_stack([np.ones(len(at)), -at]) / error[:, None]]
    wanted = [found / error]
    for name, given, unit, row in (("a0", a0, "µm", [1.0, 0.0]), ("a1", a1, "µm/eV", [0.0, 1.0])):
        if given is not None:
            value, spread = as_pair(name, given, unit)
            value = as_number(name, value, unit, above=0)
            spread = as_number(f"{name} sigma", spread, unit, above=0)
            rows.append(np.array([row]) / spread)
            wanted.append(np.array([value / spread]))
    if np.ptp(at) < SPREAD and a0 is None and a1 is None:
        raise ValueError(
            f"foci at one energy, {at[0]:g} eV, do not tell A0 from A1: measure at a second one, "
            f"at least {SPREAD:g} eV away, or give a0 or a1 with its sigma"
        )
    # Energies are hundreds of eV away from 0: scaled, so that the matrix is well conditioned.
    size = np.array([1.0, 1 / float(at.mean())])
    matrix, right = np.concatenate(rows) * size, np.concatenate(wanted)
    covariance = np.linalg.inv(matrix.T @ matrix)
    best = covariance @ matrix.T @ right
    spare = len(right) - 2
    chi2 = float(((matrix @ best - right) ** 2).sum()) / spare if spare else math.nan
    covariance = covariance * size * size[:, None] * (max(chi2, 1.0) if spare else 1.0)
    sigmas = np.sqrt(np.diag(covariance))
    return FocusLine(
        float(best[0]), float(sigmas[0]), float(best[1] * size[1]), float(sigmas[1]),
        covariance, at, found, error, chi2,
    )  # fmt: skip
