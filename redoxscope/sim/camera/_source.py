"""Where frames come from, and what falls on the sample."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Beam", "BeamHistory", "FrameSource"]

Frame = NDArray[np.uint16]


class FrameSource(Protocol):
    """A model of what the camera sees."""

    def prepare(self, energy: float, defocus: float, /) -> None:
        """Compute ahead what frames at an energy (eV) and defocus (um) need."""
        ...

    def frame(
        self,
        energy: float,
        x_um: float,
        y_um: float,
        time_s: float,
        flux: float,
        rng: np.random.Generator,
        defocus: float,
        /,
    ) -> Frame:
        """Counts [ny, nx] of one exposure.

        Parameters
        ----------
        energy : float
            True photon energy (eV).
        x_um, y_um : float
            Where on the sample the beam is (um).
        time_s : float
            Exposure (s).
        flux : float
            Photons per second on the sample; 0: a dark frame.
        rng : numpy.random.Generator
        defocus : float
            Zone plate position minus that in focus (um).
        """
        ...


@dataclass(frozen=True)
class Beam:
    """What falls on the sample: true energy (eV), photons/s, zone plate minus focus (um)."""

    energy: float = 640.0
    flux: float = 0.0
    defocus: float = 0.0


class BeamHistory:
    """What fell on the sample when: frames are computed later than they are exposed."""

    _KEPT = 10_000

    def __init__(self) -> None:
        self._since: list[float] = []
        self._beams: list[Beam] = []

    def tell(self, since: float, beam: Beam) -> None:
        """A change (s, monotonic); one that is told late counts from when it was."""
        at = bisect_right(self._since, since)
        self._since.insert(at, since)
        self._beams.insert(at, beam)
        if len(self._since) > self._KEPT:
            del self._since[: self._KEPT // 2], self._beams[: self._KEPT // 2]

    def at(self, when: float) -> Beam:
        """The beam at a time (s, monotonic)."""
        at = bisect_right(self._since, when)
        return self._beams[at - 1] if at else Beam()
