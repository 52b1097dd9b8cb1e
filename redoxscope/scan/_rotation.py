"""A rotation series: projections over an angle, with images of the empty beam and of none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..inputs import as_number, as_pair, as_whole
from ._parts import Exposures, Outer, Role
from ._scan import MAX_PARTS, Scan

__all__ = ["ROTATION", "rotation_angles", "rotation_scan"]

ROTATION = Outer("rotation", "deg")
"""The loop of a rotation series."""


def rotation_angles(start: float, stop: float, step: float) -> list[float]:
    """Angles (deg) from start to stop, both included.

    Raises
    ------
    ValueError
        A number that makes no sense, no way to go, or a step that does not divide it.
    """
    first = as_number("start", start, "deg")
    last = as_number("stop", stop, "deg")
    width = as_number("step", step, "deg", above=0)
    if first == last:
        raise ValueError(f"start and stop are both {first:g} deg: there is nothing to turn")
    steps = abs(last - first) / width
    n = round(steps)
    if n > MAX_PARTS:
        raise ValueError(f"step = {width:g} deg makes more than {MAX_PARTS} projections")
    if n < 1 or abs(steps - n) > 1e-6 * n:
        raise ValueError(
            f"step = {width:g} deg does not divide the way from {first:g} to {last:g} deg into "
            "equal parts"
        )
    return [float(angle) for angle in np.linspace(first, last, n + 1)]


def rotation_scan(
    *,
    energy: float,
    dwell: float,
    start: float = -90.0,
    stop: float = 90.0,
    step: float = 0.5,
    sample: Sequence[float] = (0.0, 0.0),
    blank: Sequence[float] | None = None,
    flats: int = 10,
    flats_every: int | None = None,
    darks: int = 10,
    edge: str | None = None,
    retries: int = 1,
) -> Scan:
    """Projections at equal steps of an angle, flats around them, darks before all.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    dwell : float
        Time of each frame (s).
    start, stop, step : float
        Angles (deg), both ends included; it turns the other way where stop is below start.
    sample, blank : (x, y)
        Where the sample is in the beam, and where nothing is (µm).
    flats : int
        Frames at ``blank`` (role ``i0``) before the first projection and after the last; 0: none,
        and no ``blank`` is needed.
    flats_every : int, optional
        Also after so many projections each.
    darks : int
        Frames behind the closed shutter, first of all.
    edge, retries
        As of `exposures_scan`.

    Returns
    -------
    Scan
        Of exposures, with the outer loop ``rotation``.

    Raises
    ------
    ValueError
        A value that makes no sense; flats without a place for them.

    Examples
    --------
    >>> rotation_scan(energy=9000, dwell=1, blank=(100, 0)).events
    391
    """
    angles = rotation_angles(start, stop, step)
    n_flats, n_darks = as_whole("flats", flats), as_whole("darks", darks)
    every = len(angles) if flats_every is None else as_whole("flats_every", flats_every, at_least=1)
    here = _place("sample", sample)
    if n_flats and blank is None:
        raise ValueError("blank=(x, y) in µm is needed for flats: where nothing is in the beam")
    there = here if blank is None else _place("blank", blank)
    if n_flats and there == here:
        raise ValueError(f"blank = {there} µm is where the sample is: flats need an empty beam")
    if flats_every is not None and not n_flats:
        raise ValueError(f"flats_every = {every} asks for flats, and flats = 0")

    def frames(role: Role, place: tuple[float, float], count: int, angle: float) -> list[Any]:
        if not count:
            return []
        return [Exposures(energy, dwell, (place,) * count, role, (angle,))]

    parts = frames(Role.DARK, here, n_darks, angles[0])
    parts += frames(Role.I0, there, n_flats, angles[0])
    for done, angle in enumerate(angles, 1):
        parts += frames(Role.SAMPLE, here, 1, angle)
        if done % every == 0 or done == len(angles):
            parts += frames(Role.I0, there, n_flats, angle)
    return Scan(exposures=tuple(parts), edge=edge, retries=retries, outer=(ROTATION,))


def _place(name: str, pair: Any) -> tuple[float, float]:
    x, y = as_pair(name, pair, "µm")
    return as_number(f"{name} x", x, "µm"), as_number(f"{name} y", y, "µm")
