"""Scans from what a user says: energies or zones, regions, passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from ..inputs import as_number, as_numbers, as_whole
from ._energies import energies_of
from ._orders import as_order
from ._parts import Frame, Outer, Point, Role
from ._regions import Region, as_region, as_regions
from ._scan import MAX_PARTS, Scan

__all__ = ["check_once", "points_scan", "stack_scan"]


def _steps(energies: Any, zones: Any, dwell: Any) -> list[tuple[float, float]]:
    """Energy (eV) and dwell (s), in order."""
    dwell = as_number("dwell", dwell, "s", above=0)
    if (energies is None) == (zones is None):
        raise ValueError("either energies=[...] or zones=[(start, stop, step), ...] in eV")
    if zones is not None:
        return energies_of(zones, dwell)
    listed = as_numbers("energies", energies, "eV", what="energies", above=0)
    if not listed:
        raise ValueError("energies is empty; at least one energy in eV is needed")
    return [(energy, dwell) for energy in listed]


def stack_scan(
    *,
    energies: Sequence[float] | None = None,
    zones: Sequence[Any] | None = None,
    regions: Sequence[Any],
    dwell: float = 0.001,
    edge: str | None = None,
    retries: int = 1,
    i0_region: Any = None,
    dose_check: float | Sequence[float] | None = None,
    outer: Sequence[tuple[Outer, Sequence[float]]] = (),
    order: str | Sequence[int] = "sequential",
    checked_first: bool = False,
) -> Scan:
    """Images of one or more regions, each visited at each energy.

    Parameters
    ----------
    energies : sequence of float, optional
        True photon energies (eV), in the order in which they are gone to; each once.
    zones : sequence of Zone, mapping or (start, stop, step[, dwell]), optional
        Instead of energies: zones, each with a step (eV) and, where it is not ``dwell``, a time
        per pixel (s) of its own. They may share ends and not overlap.
    regions : sequence of Region or mapping
    dwell : float
        Time per pixel (s).
    edge : str, optional
    retries : int
    i0_region : Region or mapping, optional
        Imaged at each energy too, for the incoming beam (role ``i0``).
    dose_check : float or sequence of float, optional
        Energies (eV) at which every region is imaged once more at the end, to compare.
    outer : sequence of (Outer, sequence of float)
        Loops around all of it, outermost first, with their values.
    order : {"sequential", "bit-reversed"} or sequence of int
        In which the energies are visited: as given; coarse to fine; or their indices.
    checked_first : bool
        Whether those of ``dose_check`` come before all others: what is compared is there then,
        however early the stack ends, and from before the beam had much time.

    Returns
    -------
    Scan

    Raises
    ------
    ValueError
        A value that makes no sense; names it.
    """
    steps = _steps(energies, zones, dwell)
    check_once([energy for energy, _ in steps])
    steps = [steps[i] for i in as_order(order, [energy for energy, _ in steps])]
    again = [] if dose_check is None else _again(dose_check, steps)
    if checked_first:
        steps = list(dict.fromkeys([*again, *steps]))
    found = as_regions(regions)
    roles = [Role.SAMPLE] * len(found)
    if i0_region is not None:
        blank = as_region(i0_region, "i0_region")
        if not blank.name:
            blank = Region(blank.center, blank.size, blank.pixels, "i0")
        found.append(blank)
        roles.append(Role.I0)
    loops = [
        [(one, value) for value in as_numbers(f"outer {one.name}", values, one.unit)]
        for one, values in outer
    ]
    frames = []
    for at in product(*loops):
        around = tuple(value for _, value in at)
        for energy, time in steps:
            for i, role in enumerate(roles):
                frames.append(Frame(energy, time, i, role, around))
        for energy, time in again:
            for i, role in enumerate(roles):
                check = Role.DOSE_CHECK if role is Role.SAMPLE else role
                frames.append(Frame(energy, time, i, check, around))
    return Scan(
        regions=tuple(found),
        frames=tuple(frames),
        edge=edge,
        retries=retries,
        outer=tuple(one for one, _ in outer),
    )


def check_once(energies: Sequence[float]) -> None:
    """Refuse an energy (eV) that is there twice.

    Raises
    ------
    ValueError
        Names the second.
    """
    seen: set[float] = set()
    for i, energy in enumerate(energies):
        if energy in seen:
            raise ValueError(
                f"energies[{i}] = {energy:g} eV is there twice: each is measured once "
                "(energy_stack measures some again with dose_check=[…])"
            )
        seen.add(energy)


def _again(dose_check: Any, steps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Energies that are measured again, with the dwell of the first time."""
    single = not isinstance(dose_check, Iterable) or getattr(dose_check, "ndim", 1) == 0
    wanted = as_numbers("dose_check", [dose_check] if single else dose_check, "eV", above=0)
    dwells = dict(steps)
    for energy in wanted:
        if energy not in dwells:
            raise ValueError(
                f"dose_check = {energy:g} eV is none of the scan's energies, so there is no image "
                "to compare with"
            )
    return [(energy, dwells[energy]) for energy in wanted]


def points_scan(
    *,
    energies: Sequence[float] | None = None,
    zones: Sequence[Any] | None = None,
    dwell: float,
    passes: int = 1,
    edge: str | None = None,
    retries: int = 1,
) -> Scan:
    """Points at energies, gone through several times.

    Parameters
    ----------
    energies, zones
        As of `stack_scan`; an energy may be there more than once.
    dwell : float
        Live time of a point (s).
    passes : int
        How often all of them are measured, one pass after the other.
    edge : str, optional
    retries : int

    Raises
    ------
    ValueError
        A value that makes no sense; names it.
    """
    steps = _steps(energies, zones, dwell)
    passes = as_whole("passes", passes, at_least=1, at_most=MAX_PARTS // len(steps))
    points = tuple(Point(energy, time, repeat=i) for i in range(passes) for energy, time in steps)
    return Scan(points=points, edge=edge, retries=retries)
