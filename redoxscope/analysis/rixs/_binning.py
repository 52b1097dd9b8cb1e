"""Energies to bins: one rule for the live spectra, the rebuilt ones and the fast path."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Bins

__all__ = ["FLOWS", "bin_index", "bin_points", "flow_index", "spectrum_of"]

FLOWS = 3
"""Columns beside the bins: below the first, above the last, without energy."""


def flow_index(
    energy: NDArray[np.float32],
    bins: Bins,
    *,
    out: NDArray[np.intp] | None = None,
    work: NDArray[np.float32] | None = None,
) -> NDArray[np.intp]:
    """Bin of each photon counted from 1; 0 below, ``len(bins) + 1`` above, and + 2 for NaN.

    Parameters
    ----------
    energy : numpy.ndarray of float32 [n]
        Energies (eV).
    bins : Bins
    out, work : numpy.ndarray [n], optional
        Where to put the result, and scratch space (may be `energy` itself).

    Notes
    -----
    Single precision throughout, so that every way through the package puts a photon into the same
    bin. minimum keeps NaN, fmin takes the number in its place.
    """
    scale = np.float32(1.0 / bins.step)
    x = np.multiply(energy, scale, out=work)
    x += np.float32(1.0 - bins.low / bins.step)
    np.maximum(x, np.float32(0), out=x)
    np.minimum(x, np.float32(len(bins) + 1), out=x)
    np.fmin(x, np.float32(len(bins) + 2), out=x)
    if out is None:
        return x.astype(np.intp)
    np.copyto(out, x, casting="unsafe")
    return out


def bin_index(energy: ArrayLike, bins: Bins) -> NDArray[np.intp]:
    """Bin of each photon.

    Parameters
    ----------
    energy : array_like of float [n]
        Energies (eV).
    bins : Bins

    Returns
    -------
    numpy.ndarray of int [n]
        From 0; -1 outside of the bins or where the energy is NaN.
    """
    index = flow_index(np.asarray(energy, np.float32), bins) - 1
    index[index >= len(bins)] = -1
    return index


def spectrum_of(energy: ArrayLike, bins: Bins) -> NDArray[np.int64]:
    """Photons per bin.

    Parameters
    ----------
    energy : array_like of float [n]
        Energies (eV); those outside of the bins and NaN are not counted.
    bins : Bins

    Returns
    -------
    numpy.ndarray of int64 [len(bins)]
    """
    flow = flow_index(np.asarray(energy, np.float32), bins)
    return np.bincount(flow, minlength=len(bins) + FLOWS)[1:-2]


def bin_points(energy: ArrayLike, point: ArrayLike, n_points: int, bins: Bins) -> NDArray[np.int64]:
    """Photons per point and bin.

    Parameters
    ----------
    energy : array_like of float [n]
        Energies (eV); those outside of the bins and NaN are not counted.
    point : array_like of int [n]
        Number of the point; those outside of ``0 … n_points - 1`` are not counted.
    n_points : int
    bins : Bins

    Returns
    -------
    numpy.ndarray of int64 [n_points, len(bins)]

    Raises
    ------
    ValueError
        The columns differ in length.
    """
    flow = flow_index(np.asarray(energy, np.float32), bins)
    point = np.asarray(point)
    if point.shape != flow.shape:
        raise ValueError(f"columns differ: energy {flow.shape}, point {point.shape}")
    inside = (point >= 0) & (point < n_points)
    if not inside.all():
        flow, point = flow[inside], point[inside]
    width = len(bins) + FLOWS
    flow += point.astype(np.intp) * width
    counts = np.bincount(flow, minlength=n_points * width)
    return np.ascontiguousarray(counts.reshape(n_points, width)[:, 1:-2])
