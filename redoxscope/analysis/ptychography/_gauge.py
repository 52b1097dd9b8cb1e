"""What a reconstruction cannot know: scale, phase, and a ramp of the phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._result import PtychoResult

__all__ = ["remove_gauge"]


def remove_gauge(result: PtychoResult, blank: ArrayLike | None = None) -> PtychoResult:
    """Fix what the frames leave open, on an area without sample.

    Object times a constant and probe divided by it give the same frames, and so does a phase that
    rises linearly over the object, with the probe's spectrum moved against it.

    Parameters
    ----------
    result : PtychoResult
    blank : array_like of bool [ny, nx], optional
        Where there is no sample. The amplitude there becomes 1 and the phase 0, without a ramp. By
        default the scale stays, and mean phase and ramp of all that is covered are taken off.

    Returns
    -------
    PtychoResult
        Object and probe changed against each other.

    Raises
    ------
    ValueError
        The mask has another shape or too few covered pixels.
    """
    area = result.covered
    if blank is not None:
        given = np.asarray(blank, dtype=bool)
        if given.shape != area.shape:
            raise ValueError(f"blank of shape {given.shape} is not that of the object {area.shape}")
        area &= given
        if np.count_nonzero(area) < 16:
            raise ValueError("blank has fewer than 16 pixels that frames cover")
    elif not area.any():
        return result
    o = result.object
    slope_y, slope_x = _slopes(o, area)
    rows, columns = np.arange(o.shape[0]), np.arange(o.shape[1])
    ramp = np.exp(-1j * (slope_y * rows[:, None] + slope_x * columns[None, :]))
    flat = o * ramp
    mean = complex(np.mean(flat[area]))
    turn = np.conj(mean) / abs(mean) if mean else 1.0
    scale = float(np.mean(np.abs(o[area]))) if blank is not None else 1.0
    scale = scale or 1.0
    size = result.probe.shape[-1]
    inside = np.arange(size) - size // 2
    back = np.exp(1j * (slope_y * inside[:, None] + slope_x * inside[None, :]))
    return replace(
        result,
        object=(flat * (turn / scale)).astype(np.complex64),
        probe=(result.probe * back * scale).astype(np.complex64),
        coverage=(result.coverage * np.float32(scale**2)).astype(np.float32),
    )


def _slopes(o: NDArray[np.complexfloating], area: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean slope of the phase (rad per pixel) along rows and columns, over neighbours in an area.

    From the phase of products of neighbours, which has no steps of 2π.
    """
    down = o[1:] * np.conj(o[:-1])
    right = o[:, 1:] * np.conj(o[:, :-1])
    return (
        float(np.angle(np.sum(down[area[1:] & area[:-1]]))),
        float(np.angle(np.sum(right[area[:, 1:] & area[:, :-1]]))),
    )
