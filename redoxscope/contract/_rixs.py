"""What a RIXS run looks like in documents: one event per point, photons beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._inputs import as_number
from ._stack import STREAM

__all__ = [
    "NOT_CHOSEN",
    "PHOTON_KEYS",
    "PHOTON_STREAM",
    "POINT_KEYS",
    "TOTALS_STREAM",
    "TOTAL_KEYS",
    "Bins",
    "PointStatus",
    "point_of",
    "validate_rixs_run",
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


POINT_KEYS = {
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

``tes_point`` numbers the windows that the detector opened since it was staged, abandoned ones
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

START_KEYS = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "shape", "hints",
    "energies", "passes", "dwell", "edge", "windows",
)  # fmt: skip


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


def point_of(seq_num: int, n_energies: int) -> tuple[int, int]:
    """Pass and energy index of an event, both from 0.

    ``seq_num = pass * n_energies + energy_index + 1``.
    """
    return divmod(seq_num - 1, n_energies)


def validate_rixs_run(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check the documents of a RIXS run against the contract.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and document of one run, in the order in which they came.

    Raises
    ------
    ValueError
        Names each thing that is wrong.
    """
    start: Mapping[str, Any] = {}
    keys: dict[str, Mapping[str, Any]] = {}
    wrong: list[str] = []
    rows: dict[int, tuple[Mapping[str, Any], str]] = {}
    stops = 0
    for name, doc in documents:
        if name == "start":
            start = doc
            wrong += [f"start has no {key!r}" for key in START_KEYS if key not in doc]
        elif name == "descriptor" and doc["name"] == STREAM:
            keys[doc["uid"]] = doc["data_keys"]
            wrong += _wrong_keys(doc, start)
        elif name == "event" and doc["descriptor"] in keys:
            rows[doc["seq_num"]] = (doc["data"], doc["descriptor"])
        elif name == "stop":
            stops += 1
    if not start:
        wrong.append("no start document")
    if stops != 1:
        wrong.append(f"{stops} stop documents")
    if sorted(rows) != list(range(1, len(rows) + 1)):
        wrong.append("seq_num does not run from 1 without a gap")
    previous = -1
    for seq_num in sorted(rows):
        data, descriptor = rows[seq_num]
        wrong += _wrong_row(seq_num, data, keys[descriptor])
        if data.get("tes_point", previous + 1) <= previous:
            wrong.append(f"event {seq_num}: tes_point {data['tes_point']} after {previous}")
        previous = data.get("tes_point", previous + 1)
    if wrong:
        raise ValueError("not a RIXS run of this contract: " + "; ".join(dict.fromkeys(wrong)))


def _wrong_keys(descriptor: Mapping[str, Any], start: Mapping[str, Any]) -> list[str]:
    keys = descriptor["data_keys"]
    wrong = [f"no data key {key!r}" for key in POINT_KEYS if key not in keys]
    for key, units in POINT_KEYS.items():
        if units is not None and key in keys and keys[key].get("units") != units:
            wrong.append(f"{key} has units {keys[key].get('units')!r}, not {units!r}")
    known = {key for conf in descriptor.get("configuration", {}).values() for key in conf["data"]}
    needed = (
        "tes_spectrum_low", "tes_spectrum_high", "tes_spectrum_step", "tes_windows",
        "tes_calibration_uid", "tes_projector_uid", "tes_noise_uid", "tes_line_table",
    )  # fmt: skip
    return wrong + [f"no configuration {key!r}" for key in needed if key not in known]


def _wrong_row(seq_num: int, data: Mapping[str, Any], keys: Mapping[str, Any]) -> list[str]:
    where = f"event {seq_num}: "
    inline = {key for key, description in keys.items() if "external" not in description}
    if set(data) != inline:
        return [where + "its keys are not those of its descriptor"]
    wrong = []
    if not data["tes_point_end"] > data["tes_point_start"]:
        wrong.append(where + "tes_point_end is not after tes_point_start")
    if len(data["tes_spectrum"]) != keys["tes_spectrum"]["shape"][0]:
        wrong.append(where + "tes_spectrum has not the length of its descriptor")
    if not 0 <= data["tes_live_fraction"] <= 1:
        wrong.append(where + f"tes_live_fraction = {data['tes_live_fraction']}")
    for key in ("tes_counts", "tes_late", "tes_lost", "tes_point_status"):
        if type(data[key]) is not int or data[key] < 0:
            wrong.append(where + f"{key} = {data[key]!r} is not a count")
    return wrong
