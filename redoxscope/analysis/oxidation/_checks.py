"""Checks of what a fit is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._solve import MAX_CONDITION, scaled_condition

__all__ = ["check_design", "check_limits", "checked_dwell", "checked_mask", "checked_scale"]

Array = NDArray[np.float64]


def checked_mask(mask: ArrayLike, shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """A mask as booleans.

    Raises
    ------
    ValueError
        It has another shape than the image, holds other than true and false, or is empty.
    """
    array = np.asarray(mask)
    if array.shape != shape:
        raise ValueError(
            f"{name} has shape {array.shape}, but the image has {shape} [ny, nx] pixels"
        )
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must be a mask: true (1) or false (0) for each pixel")
    if not array.any():
        raise ValueError(f"{name} is true nowhere, but must have at least one pixel")
    return array.astype(bool)


def checked_dwell(dwell: ArrayLike | None, n: int) -> Array | None:
    """Counting times (s) of ``n`` energies, from one or one each; None where they are not known.

    Raises
    ------
    ValueError
        There are others than one or ``n``, or one is not a positive number.
    """
    if dwell is None:
        return None
    times = np.asarray(dwell, dtype=np.float64)
    if times.shape not in ((), (n,)):
        raise ValueError(f"dwell has shape {times.shape}, but there are {n} energies")
    times = np.broadcast_to(times, (n,)).copy()
    wrong = ~(np.isfinite(times) & (times > 0))
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(f"dwell[{k}] = {times[k]:g} s must be greater than 0 s")
    return times


def check_design(design: Array, species: int) -> None:
    """Refuse a design matrix that cannot be fitted (ValueError)."""
    if design.ndim != 2 or not np.isfinite(design).all():
        raise ValueError("design must be a finite matrix [nE, K+1]")
    n, columns = design.shape
    if species == columns == 0:
        return
    if not 1 < species <= columns:
        raise ValueError(f"species is {species}, but must be 2..{columns}, columns of design")
    if n < columns:
        raise ValueError(f"{n} energies cannot determine {columns} coefficients")
    condition = scaled_condition(design)
    if condition > MAX_CONDITION:
        raise ValueError(
            f"references are collinear at these energies: condition number {condition:.3g}, "
            f"limit {MAX_CONDITION:.3g}"
        )


def check_limits(
    shape: tuple[int, int], mode: str, min_thickness: float, max_od: float | None
) -> None:
    """Refuse a shape, mode or limit that makes no sense (ValueError)."""
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape is {shape}, but must be (ny, nx), both >= 1")
    if mode not in ("auto", "blank", "monitor"):
        raise ValueError(f"mode is {mode!r}, but must be 'auto', 'blank' or 'monitor'")
    if not np.isfinite(min_thickness) or min_thickness < 0:
        raise ValueError(f"min_thickness is {min_thickness!r}, but must be finite and >= 0")
    if max_od is not None and not max_od > 0:
        raise ValueError(f"max_od is {max_od!r}, but must be > 0")


def checked_scale(scale: ArrayLike, n: int) -> Array:
    """Transmission per monitor counts at ``n`` energies, from one or one each.

    Raises
    ------
    ValueError
        One is not a positive number, or there are others than one or ``n``.
    """
    found = np.broadcast_to(np.asarray(scale, dtype=np.float64), n).copy()
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError("scale must be finite and > 0, transmission per monitor counts")
    return found
