"""Detector counts: dead time, logarithm and its variance."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["dead_time_corrected", "log_variance"]


def dead_time_corrected(
    counts: ArrayLike, dwell: ArrayLike | None, dead_time: float
) -> NDArray[np.float64]:
    """Counts a detector without dead time would have given.

    A non-paralyzable detector that is blind for ``dead_time`` after each count was alive for
    ``dwell - counts * dead_time``, so ``N_true = N / (1 - N tau / T)`` (Knoll, *Radiation
    Detection and Measurement*, ch. 4).

    Parameters
    ----------
    counts : array_like
        Observed counts per pixel, any shape. NaN stays NaN.
    dwell : float, array_like or None
        Counting time per pixel in s, one or as many as broadcast. May be None where there is no
        dead time.
    dead_time : float
        Dead time per count in s; 0 for none.

    Returns
    -------
    numpy.ndarray
        Counts of the same shape; NaN where the detector would have been dead all the time
        (``counts * dead_time >= dwell``), since nothing can be said about such a pixel.

    Raises
    ------
    ValueError
        If the dead time is negative or not finite, or there is one but no positive dwell.
    """
    observed = np.asarray(counts, dtype=np.float64)
    if not np.isfinite(dead_time) or dead_time < 0:
        raise ValueError(f"dead_time is {dead_time!r} s, but must be finite and >= 0 s")
    if dead_time == 0:
        return observed
    time = np.asarray(np.nan if dwell is None else dwell, dtype=np.float64)
    if not (np.isfinite(time) & (time > 0)).all():
        raise ValueError(f"dwell is {dwell!r} s, but a dead time of {dead_time} s needs > 0 s")
    alive = 1.0 - observed * (dead_time / time)
    return np.where(alive > 0, observed / np.where(alive > 0, alive, 1.0), np.nan)


def log_variance(counts: ArrayLike) -> NDArray[np.float64]:
    r"""Variance of the logarithm of the dead-time corrected counts.

    Parameters
    ----------
    counts : array_like
        *Observed* counts N (not the corrected ones).

    Returns
    -------
    numpy.ndarray
        ``1 / N``, dimensionless; infinite at N = 0.

    Notes
    -----
    Write :math:`x = N\tau/T`. From :math:`N_t = N/(1-x)` follows
    :math:`d\ln N_t/dN = 1/N + (\tau/T)/(1-x) = 1/(N(1-x))`. The observed counts are a renewal
    process, not a Poisson one: their variance is :math:`nT/(1+n\tau)^3` for a true rate n
    (Müller, Nucl. Instrum. Methods 112 (1973) 47), which is :math:`N(1-x)^2` since
    :math:`1/(1+n\tau) = 1-x`. The factors cancel:
    :math:`\mathrm{var}(\ln N_t) = N(1-x)^2 / (N(1-x))^2 = 1/N`.
    """
    with np.errstate(divide="ignore"):
        return 1.0 / np.asarray(counts, dtype=np.float64)
