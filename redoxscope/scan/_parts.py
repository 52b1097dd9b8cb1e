"""What a scan is made of: images, points, exposures, and the loops around them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..inputs import as_name, as_number, as_numbers, as_pair, as_whole, is_number, suggestion

__all__ = ["MAX_TIMES", "Exposures", "Frame", "Outer", "Point", "Role", "as_role", "as_times"]

MAX_POSITIONS = 1_000_000

MAX_TIMES = 4
"""Most frames of different exposure times at one place."""


class Role(StrEnum):
    """What a part of a scan is measured for."""

    SAMPLE = "sample"
    """The sample: what a map or a spectrum is made of."""
    I0 = "i0"
    """The incoming beam: nothing in it but what transmits everything."""
    DARK = "dark"
    """Without beam."""
    DOSE_CHECK = "dose_check"
    """An energy again, to see what the beam has done to the sample."""


def as_role(value: Any) -> Role:
    """A role from its name.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    try:
        return Role(value)
    except ValueError:
        known = [role.value for role in Role]
        raise ValueError(
            f"role = {value!r} is none of {', '.join(known)}{suggestion(value, known)}"
        ) from None


@dataclass(frozen=True, slots=True)
class Outer:
    """A loop around the images of a scan; its values stand in the scan's parts.

    Parameters
    ----------
    name : str
        Of the axis that is set, e.g. ``"temperature"``.
    unit : str
        Of its values, e.g. ``"degC"``.
    """

    name: str
    unit: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", as_name("outer name", self.name, "temperature"))
        if not isinstance(self.unit, str):
            raise ValueError(f"outer unit = {self.unit!r} must be text, as 'degC'")


def as_times(name: str, value: Any) -> tuple[float, ...]:
    """Exposure times (s) of the frames at one place, from one number or a list of them.

    Raises
    ------
    ValueError
        A time that is not above 0, no time, more than `MAX_TIMES`, or times that do not rise: the
        short exposure comes first, so that the long one does not add to what it is corrected by.
    """
    if is_number(value):
        return (as_number(name, value, "s", above=0),)
    times = as_numbers(name, value, "s", what="times", above=0)
    if not 1 <= len(times) <= MAX_TIMES:
        raise ValueError(f"{name} has {len(times)} times; 1 to {MAX_TIMES} can be taken at a place")
    for before, after in zip(times, times[1:], strict=False):
        if not after > before:
            raise ValueError(
                f"{name} = {times} s must rise, the short exposure first: {after:g} s comes after "
                f"{before:g} s"
            )
    return tuple(times)


def _beam(part: Any, name: str) -> None:
    """Check what images, points and exposures have in common."""
    energy = as_number(f"{name} energy", part.energy, "eV", above=0)
    object.__setattr__(part, "energy", energy)
    if not isinstance(part, Exposures):
        object.__setattr__(part, "dwell", as_number(f"{name} dwell", part.dwell, "s", above=0))
    if type(part.role) is not Role:
        object.__setattr__(part, "role", as_role(part.role))
    if part.outer != ():
        values = as_numbers(f"{name} outer", part.outer, "units of the outer loops")
        object.__setattr__(part, "outer", tuple(values))


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a region.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    dwell : float
        Time per pixel (s).
    region : int
        Index of the scan's region.
    role : Role
    outer : tuple of float
        Values of the scan's outer loops, in their units.
    """

    energy: float
    dwell: float
    region: int = 0
    role: Role = Role.SAMPLE
    outer: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _beam(self, "frame")
        object.__setattr__(self, "region", as_whole("frame region", self.region))


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a step scan, as of a spectrometer.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    dwell : float
        Live time (s).
    role : Role
    repeat : int
        Which pass it belongs to, from 0.
    outer : tuple of float
    """

    energy: float
    dwell: float
    role: Role = Role.SAMPLE
    repeat: int = 0
    outer: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _beam(self, "point")
        object.__setattr__(self, "repeat", as_whole("point repeat", self.repeat))


class Places(tuple[tuple[float, float], ...]):
    """Places (µm) that were looked at: the parts of a scan share those of thousands of frames."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Exposures:
    """Frames of an area detector at many places, at one energy.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    dwell : float or tuple of float
        Time of each exposure (s); several where several frames are taken at each place, in that
        order, the short one first.
    positions : sequence of (x, y)
        Where (µm, sample coordinates), in the order in which they are visited.
    role : Role
    outer : tuple of float
    region : int, optional
        Index of the scan's region in which the positions lie, where it has regions.
    """

    energy: float
    dwell: float | tuple[float, ...]
    positions: tuple[tuple[float, float], ...]
    role: Role = Role.SAMPLE
    outer: tuple[float, ...] = ()
    region: int | None = None

    def __post_init__(self) -> None:
        _beam(self, "exposures")
        times = as_times("exposures dwell", self.dwell)
        object.__setattr__(self, "dwell", times[0] if len(times) == 1 else times)
        if self.region is not None:
            object.__setattr__(self, "region", as_whole("exposures region", self.region))
        if isinstance(self.positions, Places):
            return
        if isinstance(self.positions, str) or not isinstance(self.positions, Iterable):
            raise ValueError(f"positions = {self.positions!r:.80} must be a list of (x, y) in µm")
        found = []
        for i, pair in enumerate(self.positions):
            if i == MAX_POSITIONS:
                raise ValueError(f"positions has more than {MAX_POSITIONS} places")
            x, y = as_pair(f"positions[{i}]", pair, "µm")
            found.append(
                (as_number(f"positions[{i}] x", x, "µm"), as_number(f"positions[{i}] y", y, "µm"))
            )
        if not found:
            raise ValueError("positions is empty; at least one (x, y) in µm is needed")
        object.__setattr__(self, "positions", Places(found))

    @property
    def times(self) -> tuple[float, ...]:
        """Exposure times (s) of the frames at each place, in their order."""
        return self.dwell if isinstance(self.dwell, tuple) else (self.dwell,)

    @property
    def frames(self) -> int:
        """Frames of all places."""
        return len(self.positions) * len(self.times)
