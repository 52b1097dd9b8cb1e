"""The map over energy loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Bins

from ._binning import bin_points

__all__ = ["energy_loss_map"]


def energy_loss_map(
    energy: ArrayLike, point: ArrayLike, energies: ArrayLike, bins: Bins
) -> NDArray[np.int64]:
    """Photons per excitation energy and energy loss.

    The loss ``excitation - emission`` is taken per photon, so no counts are shared out between
    bins as when a map is put on another grid.

    Parameters
    ----------
    energy : array_like of float [n]
        Emission energy of each photon (eV); NaN and those outside of the bins are not counted.
    point : array_like of int [n]
        Point of each photon; -1 for none.
    energies : array_like of float [n_points]
        Excitation energy of each point (eV); points of several passes may share one.
    bins : Bins
        Of the energy loss (eV); below 0 is gain.

    Returns
    -------
    numpy.ndarray of int64 [n_points, len(bins)]

    Raises
    ------
    ValueError
        The columns differ in length, or a point has no excitation energy.
    """
    excitation = np.append(np.asarray(energies, np.float64), np.nan)
    point = np.asarray(point)
    photon = np.asarray(energy, np.float64)
    if point.shape != photon.shape:
        raise ValueError(f"columns differ: energy {photon.shape}, point {point.shape}")
    if len(point) and point.max() >= len(excitation) - 1:
        raise ValueError(
            f"photons of point {point.max()}, but only {len(excitation) - 1} excitation energies"
        )
    number = np.where(point < 0, len(excitation) - 1, point)
    loss = excitation[number] - photon
    return bin_points(loss, point, len(excitation) - 1, bins)
