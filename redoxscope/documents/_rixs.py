"""What a RIXS run looks like in documents: one event per point, photons beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from ..inputs import as_number

__all__ = [
    "NOT_CHOSEN",
    "PHOTON_KEYS",
    "PHOTON_STREAM",
    "POINT_KEYS",
    "RIXS_START",
    "TOTALS_STREAM",
    "TOTAL_KEYS",
    "Bins",
    "PointStatus",
]


class PointStatus(IntFlag):
    """What did not hold while a point was measured (``tes_point_status``); 0: all of it did.

    A point with any of these is doubtful: it is in no map, yield or comparison of passes.
    """

    OK = 0
    ENERGY = 1
    """Monochromator or undulator were not where they were asked to be."""
    SAMPLE = 2
    """Another sample was in the beam, or on its way into it."""
    SHUTTER = 4
    """The shutter was not open."""
    BEAM = 8
    """Stored beam or its monitor fell."""
    COUNTER = 16
    """A counter counted for another time than asked."""
    MISSED = 32
    """It was not measured at all; its values are NaN."""


POINT_KEYS = {
    "point": None,
    "energy": "eV",
    "tes_point": None,
    "tes_point_start": "ns",
    "tes_point_end": "ns",
    "tes_counts": "counts",
    "tes_live_fraction": None,
    "tes_late": "counts",
    "tes_lost": "counts",
    "tes_spectrum": "counts",
    "tes_point_status": None,
}
"""Unit of each data key of a point's event in the stream ``primary``; ``i0`` and
``ring_current`` stand beside them where the beamline has them, and one ``tes_<name>`` for each
window of the start document.

``point`` is the index in the points of the scan that the start document carries. ``tes_point``
numbers the windows that the detector opened since it was staged, abandoned ones
included. ``tes_counts`` are the photons of usable pixels that came before the point was closed,
``tes_late`` those that came after an earlier point was closed, ``tes_lost`` those that the
server says it triggered and that never came; the last two as found since the previous event.
``tes_point_status`` is a `PointStatus`.
"""

NOT_CHOSEN = "not among the pixels chosen"
"""Reason (``tes_pixel_reason``) of a usable pixel that a run does without."""

PHOTON_STREAM = "tes_photons"
PHOTON_KEYS = {
    "tes_photon_pixel": ("<u2", None),
    "tes_photon_time": ("<i8", "ns"),
    "tes_photon_filtered": ("<f4", None),
    "tes_photon_pretrigger": ("<f4", None),
    "tes_photon_energy": ("<f4", "eV"),
    "tes_photon_point": ("<i4", None),
    "tes_photon_late": ("|u1", None),
}
"""numpy type and unit of the columns of the photon list, one row per photon.

``tes_photon_point`` is the ``tes_point`` whose window holds the photon, -1 for none;
``tes_photon_late`` is 1 where that point had been closed already, so its event does not have it.
"""

TOTALS_STREAM = "tes_totals"
TOTAL_KEYS = (
    "tes_total_photons",
    "tes_total_late",
    "tes_total_lost",
    "tes_total_outside",
    "tes_total_pixels",
)
"""Counts of the whole run, read once at its end; what was lost is complete only here."""

RIXS_START = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "hints", "num_points",
    "scan", "edge", "windows", "energy_tolerance",
)  # fmt: skip
"""Keys of a start document; ``holder`` stands beside them where there is one."""


@dataclass(frozen=True)
class Bins:
    """Energy bins of equal width.

    Parameters
    ----------
    low, high : float
        Lower edge of the first bin and upper edge of the last (eV); a whole number of steps.
    step : float
        Width (eV).

    Raises
    ------
    ValueError
        Not finite, not rising, or not a whole number of bins.
    """

    low: float
    high: float
    step: float

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            object.__setattr__(self, name, as_number(f"bins {name}", getattr(self, name), "eV"))
        if not (self.step > 0 and self.high > self.low):
            raise ValueError(
                f"bins from {self.low} to {self.high} eV in steps of {self.step} eV: "
                "high must be above low and step above 0 eV"
            )
        count = (self.high - self.low) / self.step
        if not math.isclose(count, round(count), rel_tol=0, abs_tol=1e-6):
            raise ValueError(
                f"bins from {self.low} to {self.high} eV are not a whole number of {self.step} eV"
            )

    def __len__(self) -> int:
        return round((self.high - self.low) / self.step)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Edges of the bins (eV), one more than there are bins."""
        return self.low + self.step * np.arange(len(self) + 1, dtype=np.float64)

    @property
    def centers(self) -> NDArray[np.float64]:
        """Middles of the bins (eV)."""
        return self.low + self.step * (np.arange(len(self), dtype=np.float64) + 0.5)
