"""Frames that are taken in one go: places one after the other, at each the same exposures."""

from __future__ import annotations

from dataclasses import dataclass

from ..inputs import as_numbers, as_pair, as_whole

__all__ = ["Block"]


@dataclass(frozen=True, slots=True)
class Block:
    """A run of places of one part of a scan of exposures.

    Frame k is of place ``k // len(times)``, with the exposure ``times[k % len(times)]``.

    Parameters
    ----------
    exposure : int
        Index of the part in the scan's exposures.
    first : int
        Index of the block's first place in the part.
    positions : tuple of (x, y)
        Places (µm, sample coordinates).
    times : tuple of float
        Exposures (s) at each place, in that order.
    dark : bool
        Whether they are taken without light.

    Raises
    ------
    ValueError
        No place, no time, or something that is no number.
    """

    exposure: int
    first: int
    positions: tuple[tuple[float, float], ...]
    times: tuple[float, ...]
    dark: bool = False

    def __post_init__(self) -> None:
        for name in ("exposure", "first"):
            object.__setattr__(self, name, as_whole(f"block {name}", getattr(self, name)))
        places = []
        for i, pair in enumerate(self.positions):
            x, y = as_numbers(
                f"block positions[{i}]", as_pair(f"block positions[{i}]", pair, "µm"), "µm"
            )
            places.append((x, y))
        times = tuple(as_numbers("block times", self.times, "s", above=0))
        if not places or not times:
            raise ValueError("a block needs at least one place and one exposure time")
        object.__setattr__(self, "positions", tuple(places))
        object.__setattr__(self, "times", times)

    @property
    def frames(self) -> int:
        """Frames that it has."""
        return len(self.positions) * len(self.times)

    @property
    def live_time(self) -> float:
        """Time (s) in which the camera is exposed."""
        return len(self.positions) * sum(self.times)
