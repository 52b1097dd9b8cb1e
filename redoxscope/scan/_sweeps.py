"""Points that can be flown: energies at equal distances, with one dwell."""

from __future__ import annotations

from collections.abc import Sequence

from ._energies import SAME
from ._parts import Point

__all__ = ["sweeps_of"]


def sweeps_of(points: Sequence[Point], longest: float, most: int) -> list[range]:
    """Consecutive points that lie on a straight line in time, as ranges of their indices.

    Parameters
    ----------
    points : sequence of Point
    longest : float
        Longest live time of a line (s); at least one point is in each.
    most : int
        Most points of a line.

    Returns
    -------
    list of range
        All points, in order.
    """
    found: list[range] = []
    first = 0
    while first < len(points):
        begin, stop = points[first], first + 1
        step = points[stop].energy - begin.energy if stop < len(points) else 0.0
        while (
            abs(step) > SAME
            and stop < len(points)
            and stop - first < most
            and _goes_on(begin, points[stop], step * (stop - first))
            and begin.dwell * (stop - first + 1) <= longest
        ):
            stop += 1
        found.append(range(first, stop))
        first = stop
    return found


def _goes_on(begin: Point, point: Point, way: float) -> bool:
    """Whether a point belongs to the line that ``begin`` begins, so far (eV) from it."""
    same = (point.dwell, point.role, point.repeat) == (begin.dwell, begin.role, begin.repeat)
    return same and abs(point.energy - begin.energy - way) <= SAME
