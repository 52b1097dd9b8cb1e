"""Scans of exposures from places, or from a path that scanspec makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..inputs import as_number, as_numbers
from ._parts import Exposures
from ._scan import Scan

__all__ = ["exposures_scan"]


def exposures_scan(
    *,
    energies: Sequence[float],
    positions: Any,
    dwell: float,
    edge: str | None = None,
    retries: int = 1,
) -> Scan:
    """Exposures at the same places, at one energy after the other.

    Parameters
    ----------
    energies : sequence of float
        True photon energies (eV), in the order in which they are gone to.
    positions : sequence of (float, float), or scanspec.core.Spec
        Places x, y (µm) in order, or a spec of the axes ``"x"`` and ``"y"``, such as
        ``Spiral("x", 0, 4, 0.3, "y", 0, 4)`` or ``Line("y", 0, 2, 5) * ~Line("x", 0, 2, 5)``: the
        middles of its points. The scan holds the places, not what made them.
    dwell : float
        Time of an exposure (s).
    edge : str, optional
        Absorption edge whose energy offset applies.
    retries : int
        How often an exposure that failed is taken again.

    Returns
    -------
    Scan

    Raises
    ------
    ValueError
        A value that makes no sense; a spec of other axes.

    Examples
    --------
    >>> exposures_scan(energies=[640.0], positions=[(0, 0), (1, 0)], dwell=0.1).events
    2
    """
    listed = as_numbers("energies", energies, "eV", what="energies", above=0)
    if not listed:
        raise ValueError("energies is empty; at least one energy in eV is needed")
    dwell = as_number("dwell", dwell, "s", above=0)
    places = _places(positions)
    parts = [Exposures(listed[0], dwell, places)]
    parts += [Exposures(energy, dwell, parts[0].positions) for energy in listed[1:]]
    return Scan(exposures=tuple(parts), edge=edge, retries=retries)


def _places(positions: Any) -> Any:
    """Places of a list, or of anything that has axes and midpoints as scanspec's specs do."""
    if not (hasattr(positions, "axes") and hasattr(positions, "midpoints")):
        return tuple(positions) if isinstance(positions, Iterable) else positions
    axes = [str(axis) for axis in positions.axes()]
    if sorted(axes) != ["x", "y"]:
        raise ValueError(
            f"positions is a spec of the axes {', '.join(axes)}; it must be of x and y"
        )
    return tuple((float(point["x"]), float(point["y"])) for point in positions.midpoints())
