"""Whether the beam fell while a point was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["BeamMemory"]

FALL = 0.9
"""Stored current may fall to this part within a point."""
NO_BEAM = 0.2
"""Below this part of the most current seen in the run there is no beam to speak of."""
SAME_ENERGY = 0.8
"""The monitor may fall to this part of what it was at the same energy in the pass before."""
NEIGHBOUR = 0.5
"""The same, of what it was at the point before, whose energy is another."""
SIGMAS = 5.0
"""A fall of the monitor must be more than its counting noise by so many standard deviations."""
BELIEVED = 0.05
"""A monitor that is low twice, but above this part of what is expected, is believed."""


class BeamMemory:
    """Stored current and monitor of a run so far, to tell a fall from what is usual.

    The monitor follows the stored current within the point, the published current up to a second
    later; but it also follows whatever the optics do with the energy. So a low monitor that is
    the same when the point is measured again is taken for what it is, and what is expected of it
    falls with the stored current: between two passes a beam decays.
    """

    def __init__(self) -> None:
        self._most = 0.0
        self._stored: float | None = None
        self._rates: dict[float, tuple[float, float | None]] = {}
        self._last: tuple[float, float | None] | None = None
        self._refused: dict[float, float] = {}

    def current(self, values: Sequence[float]) -> str:
        """What is wrong with the stored current (mA) within a point, in the order it came."""
        self._stored = None
        if not values or not all(math.isfinite(value) for value in values):
            return f"the ring current is {list(values)} mA"
        first, lowest = values[0], min(values)
        self._stored = max(values)
        self._most = max(self._most, self._stored)
        if lowest < FALL * first:
            return f"the ring current fell from {first:.4g} to {lowest:.4g} mA"
        if lowest <= NO_BEAM * self._most:
            return f"there is no stored beam: {lowest:.4g} mA, {self._most:.4g} mA were there"
        return ""

    def monitor(
        self, energy: float, counts: float, dwell: float, sigma: float | None = None
    ) -> str:
        """What is wrong with a point's counts of the beam monitor, at an energy (eV).

        The point's stored current, where there is one, has been given to `current`. A monitor that
        is a current has it in place of the counts, 1 s for the dwell, and its own ``sigma``.
        """
        key = round(energy, 4)
        stored, self._stored = self._stored, None
        if not (math.isfinite(counts) and counts > 0):
            return f"the beam monitor says {counts:g}"
        rate = counts / dwell
        known = self._rates.get(key)
        limit, before_it = (NEIGHBOUR, self._last) if known is None else (SAME_ENERGY, known)
        usual = None if before_it is None else _expected(*before_it, stored)
        if (
            usual is not None
            and rate < limit * usual
            and _beyond_noise(counts, usual * dwell, sigma)
        ):
            before = self._refused.get(key)
            self._refused[key] = rate
            again = before is not None and abs(rate - before) <= (1 - SAME_ENERGY) * before
            if not (again and rate > BELIEVED * usual):
                return f"the beam monitor says {counts:.6g}, {usual * dwell:.6g} was expected"
        self._rates[key] = self._last = (rate, stored)
        self._refused.pop(key, None)
        return ""


def _expected(rate: float, then: float | None, now: float | None) -> float:
    """A rate as it was, less what the stored current (mA) has decayed by since."""
    return rate * min(1.0, now / then) if now and then and now > 0 else rate


def _beyond_noise(counts: float, expected: float, sigma: float | None) -> bool:
    noise = math.sqrt(expected + counts) if sigma is None else math.sqrt(2) * sigma
    return expected - counts > SIGMAS * noise
