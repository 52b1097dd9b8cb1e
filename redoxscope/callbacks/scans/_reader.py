"""Documents of one scan, in; pictures of its counts, out. No threads here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...documents import FLOWN_SCANS, STEPPED_SCANS, STREAM, LineStatus
from ...scan import Scan
from .._analysis import Reader
from .._documents import Doc, check_version, rows_of
from .._room import room_for
from .._title import found_again_by
from ._layout import pictures_of
from ._snapshot import ScanSnapshot
from ._words import words

__all__ = ["ScanReader", "is_scan"]

PIXEL_BYTES = 48
"""Memory of a pixel, with copies of it."""
GOOD = (LineStatus.OK, LineStatus.RETRIED)


def is_scan(start: Doc) -> bool:
    """Whether a start document announces one of these scans."""
    known = (*FLOWN_SCANS, *STEPPED_SCANS)
    return start.get("plan_name") in known and isinstance(start.get("scan"), Mapping)


class ScanReader(Reader[ScanSnapshot]):
    """Collects the lines or points of one run.

    Parameters
    ----------
    start : dict
    options : object
        None are known.

    Raises
    ------
    ValueError
        The start document cannot be read.
    """

    def __init__(self, start: Doc, options: Any = None) -> None:
        check_version(start)
        self.start = start
        self.scan = scan = Scan.from_start(start)
        # A frame is of one region only: all tiles together are one picture.
        pixels = sum(math.prod(scan.regions[frame.region].pixels) for frame in scan.frames)
        room_for("the pictures of a scan", PIXEL_BYTES * max(pixels, len(scan.points)))
        self.pictures, self._places = pictures_of(str(start["plan_name"]), scan)
        detectors = [str(name) for name in start.get("detectors", ())]
        self.detector = detectors[0] if detectors else "transmission"
        self._status: dict[tuple[int, int], int] = {}
        self._changed: set[str] = set()
        self._ended: tuple[bool, str] = False, ""

    @property
    def part_names(self) -> tuple[str, ...]:
        """The pictures."""
        return tuple(self.pictures)

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are wanted."""
        name = descriptor.get("name")
        return name == STREAM if self.scan.points else self.scan.region_in(str(name)) is not None

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its lines or points (s)."""
        stamps = []
        for _, data, stamp in rows_of(name, doc, "point" if self.scan.points else "line"):
            self._row(data)
            stamps.append(stamp)
        return stamps

    def _row(self, data: Doc) -> None:
        flown = "frame" in data
        number, line = int(data["frame" if flown else "point"]), int(data.get("line", 0))
        status = int(data["line_status" if flown else "point_status"])
        place = self._places[number]
        picture = self.pictures[place.picture]
        back = flown and data["sample_x"][0] > data["sample_x"][-1]
        for key, array in ((self.detector, picture.counts), ("i0", picture.i0)):
            if key in data:
                values = np.atleast_1d(np.asarray(data[key], float))
                values = values[::-1] if back else values
                array[place.row + line, place.column : place.column + values.size] = (
                    values if status in GOOD else np.nan
                )
        self._status[number, line] = status
        self._changed.add(place.picture)

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, ScanSnapshot]:
        """Pictures that have changed; the one that is measured now comes last."""
        if final:
            self._ended = True, message
        finished, ending = self._ended
        doubtful = sum(status not in GOOD for status in self._status.values())
        words = [ending or message]
        if doubtful:
            words.append(f"{doubtful} lines or points are left out: missed or disturbed.")
        parts = list(self.pictures) if final or finished else list(self._changed)
        self._changed = set()
        made = {}
        for name in parts:
            picture = self.pictures[name]
            made[name] = ScanSnapshot(
                counts=picture.counts.copy(),
                i0=picture.i0.copy(),
                slow=np.asarray(picture.slow[2], float),
                fast=np.asarray(picture.fast[2], float),
                slow_name=picture.slow[0],
                slow_unit=picture.slow[1],
                fast_name=picture.fast[0],
                fast_unit=picture.fast[1],
                detector=self.detector,
                energy=float(picture.energy),
                done=len(self._status),
                total=self.scan.events,
                doubtful=doubtful,
                part=name,
                title=self._title(name),
                uid=str(self.start.get("uid", "")),
                message=" ".join(word for word in words if word),
                finished=finished,
            )
        return made

    def _title(self, picture: str) -> str:
        """Heading of a picture: what, around what it was taken, and how the run is found again."""
        name = words(str(self.start["plan_name"]))
        energy = self.pictures[picture].energy
        once = len(self.scan.all_energies) == 1 and math.isfinite(energy)  # else it is in the name
        parts = [f"{self.start.get('edge') or ''} {name}".strip(), picture]
        parts += [f"{energy:g} eV"] if once else []
        return " · ".join(filter(None, [*parts, *found_again_by(self.start)]))
