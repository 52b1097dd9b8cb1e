"""Dose: what the beam leaves in the sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number

__all__ = ["ELEMENTARY_CHARGE", "absorbed_dose"]

ELEMENTARY_CHARGE = 1.602176634e-19
"""J per eV, exact in the SI since 2019."""


def absorbed_dose(
    photons: ArrayLike,
    energy: ArrayLike,
    area: float,
    *,
    density: float,
    absorption: ArrayLike | None = None,
    optical_density: ArrayLike | None = None,
    thickness: float | None = None,
) -> NDArray[np.float64]:
    """Energy absorbed per mass (Gy), where photons fall on an area.

    Parameters
    ----------
    photons : array_like
        Incident photons.
    energy : array_like
        Photon energy (eV).
    area : float
        On which they fall, evenly (µm²).
    density : float
        Of the sample (g/cm³).
    absorption : array_like, optional
        Linear absorption coefficient (1/µm).
    optical_density : array_like, optional
        Instead of it, that of the whole thickness.
    thickness : float, optional
        Of the sample (µm). Without it, the dose is that of the side on which the beam enters.

    Returns
    -------
    numpy.ndarray
        Gy; inputs broadcast.

    Raises
    ------
    ValueError
        Not exactly one of absorption and optical density; an optical density without a
        thickness; an area, a density or a thickness that is not positive.

    Notes
    -----
    ``D = N E (1 - exp(-µ t)) / (ρ A t)``, and ``N E µ / (ρ A)`` for a thin sample: M. R. Howells
    et al., J. Electron Spectrosc. Relat. Phenom. 170 (2009) 4. Energy that leaves as fluorescence
    or with electrons is counted as absorbed, so it is an upper bound.
    """
    if (absorption is None) == (optical_density is None):
        raise ValueError("either absorption (1/µm) or optical_density is needed")
    area = as_number("area", area, "µm²", above=0)
    density = as_number("density", density, "g/cm³", above=0)
    if thickness is not None:
        thickness = as_number("thickness", thickness, "µm", above=0)
    if absorption is not None:
        per_um = np.asarray(absorption, dtype=float)
        if thickness is not None:
            per_um = -np.expm1(-per_um * thickness) / thickness
    elif thickness is None:
        raise ValueError("optical_density needs the thickness (µm) that has it")
    else:
        per_um = -np.expm1(-np.asarray(optical_density, dtype=float)) / thickness
    joules = np.asarray(photons, dtype=float) * np.asarray(energy, dtype=float) * ELEMENTARY_CHARGE
    # J/µm in a slab of 1 µm² · 1 µm: 1 µm³ of 1 g/cm³ is 1e-15 kg.
    result: NDArray[np.float64] = joules * per_um / (density * 1e-15 * area)
    return result
