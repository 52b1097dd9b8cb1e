"""What a perfect measurement would give: the yardstick for the analysis.

Written with nothing but ``numpy.linalg.lstsq`` so that it shares no code with the analysis it
judges.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....data import References

__all__ = ["Truth", "fit_truth"]


class Truth(TypedDict):
    """Maps on the nominal grid, each [ny, nx]."""

    fraction: NDArray[np.float64]  #: of the first reference; NaN where there is no material
    thickness: NDArray[np.float64]  #: in the unit of the references' coefficients
    coefficients: NDArray[np.float64]  #: [K+1, ny, nx], the constant last


def fit_truth(
    transmission: NDArray[np.float64], energies: ArrayLike, references: References
) -> Truth:
    """Fit noise-free transmission [nE, ny, nx] with reference spectra and a constant."""
    od = -np.log(transmission)
    design = references.design(energies)
    flat, *_ = np.linalg.lstsq(design, od.reshape(len(od), -1), rcond=None)
    coefficients = np.asarray(flat, dtype=float).reshape(-1, *od.shape[1:])
    thickness = coefficients[: len(references.names)].sum(axis=0)
    fraction = np.full_like(thickness, np.nan)
    np.divide(coefficients[0], thickness, out=fraction, where=np.abs(thickness) > 1e-6)
    return Truth(fraction=fraction, thickness=thickness, coefficients=coefficients)
