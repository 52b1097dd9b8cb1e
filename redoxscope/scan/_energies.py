"""Energies of a scan: zones with a step and a dwell of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..inputs import as_number, check_keys

__all__ = ["Zone", "as_zone", "energies_of"]

MAX_ENERGIES = 100_000

SAME = 1e-6
"""Energies (eV) closer than this are one."""


@dataclass(frozen=True)
class Zone:
    """Energies at equal distances, both ends included.

    Parameters
    ----------
    start, stop : float
        Ends (eV), rising or falling.
    step : float
        Distance (eV), positive; where it does not divide the zone, the last one is shorter.
    dwell : float, optional
        Time per pixel or point (s); by default that of the scan.

    Raises
    ------
    ValueError
        Not positive, not finite, or more than 100 000 energies.
    """

    start: float
    stop: float
    step: float
    dwell: float | None = None

    def __post_init__(self) -> None:
        for name in ("start", "stop", "step"):
            value = as_number(f"zone {name}", getattr(self, name), "eV", above=0)
            object.__setattr__(self, name, value)
        if self.dwell is not None:
            object.__setattr__(self, "dwell", as_number("zone dwell", self.dwell, "s", above=0))
        if abs(self.stop - self.start) / self.step > MAX_ENERGIES:
            raise ValueError(
                f"zone {self}: step = {self.step:g} eV is too small; a zone has at most "
                f"{MAX_ENERGIES} energies"
            )

    def __str__(self) -> str:
        return f"{self.start:g} to {self.stop:g} eV"

    @property
    def energies(self) -> list[float]:
        """From start to stop (eV)."""
        span = self.stop - self.start
        whole = math.floor(abs(span) / self.step + SAME)
        sign = math.copysign(1.0, span)
        found = [round(self.start + sign * i * self.step, 9) for i in range(whole + 1)]
        if abs(found[-1] - self.stop) > SAME:
            found.append(self.stop)
        return found


def as_zone(value: Any, name: str = "zone") -> Zone:
    """A zone from what a user or a file gives: `Zone`, (start, stop, step[, dwell]) or a mapping.

    Raises
    ------
    ValueError
        It is none of these, or a value makes no sense.
    """
    if isinstance(value, Zone):
        return value
    if isinstance(value, Mapping):
        known = [field.name for field in fields(Zone)]
        check_keys(name, value, known, needed=3)
        value = [value.get(key) for key in known]
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) in (3, 4):
        try:
            return Zone(*value)
        except ValueError as exc:
            raise ValueError(f"{name}: {exc}") from exc
    raise ValueError(
        f"{name} = {value!r:.80} must be (start, stop, step) in eV, with a dwell in s as fourth "
        "where it has one of its own"
    )


def energies_of(zones: Iterable[Any], dwell: float) -> list[tuple[float, float]]:
    """Energy (eV) and dwell (s) of each step through zones, in their order.

    An end that two zones share is taken once, with the dwell of the zone that begins there.

    Parameters
    ----------
    zones : iterable of Zone, sequence or mapping
    dwell : float
        For zones without one of their own (s).

    Raises
    ------
    ValueError
        Two zones overlap, there is none, or one makes no sense.
    """
    if isinstance(zones, (str, Mapping, Zone)) or not isinstance(zones, Iterable):
        raise ValueError(f"zones = {zones!r:.80} must be a list of (start, stop, step) in eV")
    found = [as_zone(zone, f"zones[{i}]") for i, zone in enumerate(zones)]
    if not found:
        raise ValueError("zones is empty; at least one (start, stop, step) in eV is needed")
    for i, zone in enumerate(found):
        for j, other in enumerate(found[:i]):
            low = max(min(zone.start, zone.stop), min(other.start, other.stop))
            high = min(max(zone.start, zone.stop), max(other.start, other.stop))
            if high > low + SAME or (abs(high - low) <= SAME and _within(low, zone, other)):
                raise ValueError(
                    f"zones[{j}] ({other}) and zones[{i}] ({zone}) overlap, from {low:g} to "
                    f"{high:g} eV; zones may share an end only"
                )
    steps: list[tuple[float, float]] = []
    for zone in found:
        own = dwell if zone.dwell is None else zone.dwell
        energies = zone.energies
        for energy in energies:
            at = None
            if energy in (energies[0], energies[-1]):  # nothing else can be another zone's, too
                at = next((k for k, (e, _) in enumerate(steps) if abs(e - energy) <= SAME), None)
            if at is None:
                steps.append((energy, own))
            elif energy == zone.start:
                steps[at] = (steps[at][0], own)
    return steps


def _within(energy: float, *zones: Zone) -> bool:
    """Whether an energy (eV) lies between the ends of one of the zones."""
    return any(min(z.start, z.stop) + SAME < energy < max(z.start, z.stop) - SAME for z in zones)
