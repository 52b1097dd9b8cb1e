"""Places improved from the frames themselves."""

from __future__ import annotations

import math
from typing import Any

from ._frames import Frames

__all__ = ["Gradient"]

_STEP = 50.0
"""Over least squares: the change asked for is a small part of what a place off by so much makes,
since object and beam have followed the wrong place (tried from 2 to 50 on simulated frames)."""
_MOST = 0.25
"""Largest step of one update (pixels)."""


class Gradient:
    """How far a frame's place is off, by the change that its exit wave asks for.

    Moving the beam by s changes the exit wave by ``-s ∇P O``; the s that explains most of the
    change asked for follows by least squares (as in M. Guizar-Sicairos, J. R. Fienup, Opt. Express
    16 (2008) 7264, where the places are parameters with a gradient as object and probe are).

    Parameters
    ----------
    xp : module
    frames : Frames
        With the measured places.
    largest_um : float
        How far a place may get from the measured one (µm).
    """

    def __init__(self, xp: Any, frames: Frames, largest_um: float) -> None:
        self._xp, self._largest = xp, largest_um
        self._measured = frames.positions

    def shift(self, probe: Any, change: Any, view: Any) -> tuple[float, float]:
        """(dy, dx) in pixels to move a place by."""
        xp = self._xp
        first = probe[0]
        wanted = change[0]
        along = []
        for axis in (0, 1):
            slope = (xp.roll(first, -1, axis) - xp.roll(first, 1, axis)) * 0.5
            along.append(slope * view)
        down, right = along
        a = float(xp.vdot(down, down).real)
        b = float(xp.vdot(down, right).real)
        c = float(xp.vdot(right, right).real)
        u = -float(xp.vdot(down, wanted).real)
        v = -float(xp.vdot(right, wanted).real)
        det = a * c - b * b
        if not det > 1e-6 * a * c:
            return 0.0, 0.0
        dy, dx = _STEP * (c * u - b * v) / det, _STEP * (a * v - b * u) / det
        return max(-_MOST, min(_MOST, dy)), max(-_MOST, min(_MOST, dx))

    def limited(self, k: int, x: float, y: float) -> tuple[float, float]:
        """A place (µm), not further from the measured one than allowed."""
        x0, y0 = self._measured[k].tolist()
        far = math.hypot(x - x0, y - y0)
        if far <= self._largest:
            return x, y
        share = self._largest / far
        return x0 + share * (x - x0), y0 + share * (y - y0)
