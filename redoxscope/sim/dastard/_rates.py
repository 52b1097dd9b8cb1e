"""Counts of triggers in whole seconds of the server's clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._clock import rfc3339

__all__ = ["TriggerRates"]

SECOND_NS = 1_000_000_000


class TriggerRates:
    """What TRIGGERRATE says.

    Parameters
    ----------
    nchan : int
        Channels of the source.
    begin_ns : int
        Server time (ns) from which photons come.

    Attributes
    ----------
    boundary_ns : int
        End (server ns) of the second that is being counted.
    """

    def __init__(self, nchan: int, begin_ns: int):
        self.boundary_ns = (begin_ns // SECOND_NS + 1) * SECOND_NS
        self._nchan = nchan
        self._counts = np.zeros((2, nchan), np.int64)

    def add(self, photons: NDArray[np.void]) -> None:
        """Count photons of this second, or of the beginning of the next."""
        later = photons["t_ns"] >= self.boundary_ns
        for i, mask in enumerate((~later, later)):
            if mask.any():
                index = photons["chan_index"][mask]
                self._counts[i] += np.bincount(index, minlength=self._nchan)

    def take(self) -> dict[str, Any]:
        """The message of the second that is over; counting goes on with the next."""
        message = {
            "HiTime": rfc3339(self.boundary_ns),
            "Duration": SECOND_NS,
            "CountsSeen": self._counts[0].tolist(),
        }
        self._counts[0], self._counts[1] = self._counts[1], 0
        self.boundary_ns += SECOND_NS
        return message
