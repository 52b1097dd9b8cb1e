"""Where the points of a scan stand in a map: at which energy, and in which pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from redoxscope.scan import Scan

__all__ = ["Places"]


@dataclass(frozen=True)
class Places:
    """Energies and passes of a scan of points, and the place of each point in them.

    Parameters
    ----------
    energies : numpy.ndarray of float [nE]
        Each energy (eV) once: in the order in which they are gone to where that only rises or
        only falls, else rising.
    passes : int
        How often an energy is measured, at most.
    ipass, index : numpy.ndarray of int [n]
        Of each point of the scan, from 0. An energy that comes more than once within a pass of
        the scan makes further passes, in the order in which it comes.
    """

    energies: NDArray[np.float64]
    passes: int
    ipass: NDArray[np.intp]
    index: NDArray[np.intp]

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """Places of a scan's points.

        Raises
        ------
        ValueError
            The scan is not one of points.
        """
        if scan.kind != "points":
            raise ValueError(f"the scan is one of {scan.kind}; a RIXS map needs points")
        energies = scan.all_energies
        steps = np.diff(energies)
        if not ((steps > 0).all() or (steps < 0).all()):
            energies = sorted(energies)
        at = {energy: i for i, energy in enumerate(energies)}
        seen: Counter[tuple[int, float]] = Counter()
        visits = []
        for point in scan.points:
            key = point.repeat, point.energy
            visits.append((point.repeat, seen[key]))
            seen[key] += 1
        number = {visit: i for i, visit in enumerate(sorted(set(visits)))}
        return cls(
            np.array(energies, np.float64),
            len(number),
            np.array([number[visit] for visit in visits], np.intp),
            np.array([at[point.energy] for point in scan.points], np.intp),
        )

    def __len__(self) -> int:
        return len(self.index)

    def place(self, point: int) -> tuple[int, int]:
        """Pass and index of the energy of a point, both from 0.

        Raises
        ------
        ValueError
            The scan has no such point.
        """
        if not 0 <= point < len(self):
            raise ValueError(f"point {point} is outside a scan of {len(self)} points")
        return int(self.ipass[point]), int(self.index[point])
