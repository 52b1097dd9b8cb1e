"""Lines of a run, in; what each has left in its pixels, out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ...documents import flights
from ...inputs import is_number
from ...scan import Scan
from .._analysis import Reader
from .._documents import Doc, check_version, rows_of
from ._snapshot import Array, DoseSnapshot

__all__ = ["DoseReader", "is_exposed"]


def is_exposed(start: Doc) -> bool:
    """Whether a start document says what images leave in their pixels, so the flux was known."""
    exposure = start.get("exposure")
    return isinstance(exposure, Mapping) and "photons" in exposure


class DoseReader(Reader[DoseSnapshot]):
    """Adds up what the lines of one run have left.

    A line that was flown again, or lost, counts as often as it may have been tried: what is not
    known is taken for more, not for less.

    Parameters
    ----------
    start : dict
        With ``exposure``: photons and dose of each image on one pixel.
    options : object
        None is known.

    Raises
    ------
    ValueError
        The start document cannot be read.
    """

    def __init__(self, start: Doc, options: Any = None) -> None:
        check_version(start)
        self.start, self.scan = start, Scan.from_start(start)
        said = start["exposure"]
        n = len(self.scan.frames)
        self._each = {what: _column(said.get(what), n, what) for what in ("photons", "gray")}
        self._flights = [
            np.zeros(self.scan.regions[frame.region].pixels[1], np.int32)
            for frame in self.scan.frames
        ]
        self._regions: dict[str, int] = {}
        self._touched: dict[int, None] = {}

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether its events are lines."""
        region = self.scan.region_in(str(descriptor.get("name")))
        if region is None:
            return False
        self._regions[str(descriptor["uid"])] = region
        return True

    def knows(self, doc: Doc) -> bool:
        """Whether an event is of a stream of lines."""
        return str(doc["descriptor"]) in self._regions

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take an ``event`` or ``event_page``; return the times of its lines (s)."""
        region, stamps = self._regions[str(doc["descriptor"])], []
        for _, data, stamp in rows_of(name, doc, "line"):
            self.line(int(data["frame"]), int(data["line"]), int(data["line_status"]))
            stamps.append(stamp)
        self._touched.pop(region, None)
        self._touched[region] = None
        return stamps

    def line(self, frame: int, line: int, status: int) -> None:
        """Take one line; one that came before is replaced."""
        self._flights[frame][line] = flights(status, self.scan.retries)

    @property
    def part_names(self) -> tuple[str, ...]:
        """Regions, where there are several."""
        return tuple(self._part(i) for i in range(len(self.scan.regions)))

    def _part(self, index: int) -> str:
        return self.scan.regions[index].name if len(self.scan.regions) > 1 else ""

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, DoseSnapshot]:
        """What the regions have that lines came of (all, if final)."""
        touched = [*self._touched]
        chosen = [i for i in range(len(self.scan.regions)) if i not in touched] if final else []
        self._touched = {}
        return {self._part(i): self._of(i, message) for i in [*chosen, *touched]}

    def _of(self, index: int, message: str) -> DoseSnapshot:
        region = self.scan.regions[index]
        nx, ny = region.pixels
        total = {what: np.zeros(ny) for what in self._each}
        for i, frame in enumerate(self.scan.frames):
            if frame.region == index:
                for what, each in self._each.items():
                    flown = self._flights[i]  # what was not is 0, also where it is not known
                    total[what] += np.where(flown > 0, each[i] * flown, 0.0)
        limit = self.start.get("dose_limit") or {}
        return DoseSnapshot(
            uid=str(self.start.get("uid", "")),
            part=self._part(index),
            region=region.name,
            x=np.linspace(*region.extents[0], nx),
            y=np.linspace(*region.extents[1], ny),
            photons=np.repeat(total["photons"][:, None], nx, axis=1),
            gray=np.repeat(total["gray"][:, None], nx, axis=1),
            before=float(limit.get("before", math.nan)),
            limit=float(limit.get("limit", math.nan)),
            title=" · ".join(self._title(region.name)),
            message=message,
            pixel=(region.size[0] / nx, region.size[1] / ny),
        )

    def _title(self, region: str) -> Iterator[str]:
        yield f"{self.start.get('edge') or ''} dose".strip()
        if len(self.scan.regions) > 1:
            yield f"region {region}"
        if "scan_id" in self.start:
            yield f"scan {self.start['scan_id']}"
        yield str(self.start.get("uid", ""))[:8]


def _column(said: Any, n: int, what: str) -> Array:
    """Of each image: a number for all, or one for each; NaN where nothing is said."""
    if said is None:
        return np.full(n, np.nan)
    if is_number(said):
        return np.full(n, float(said))
    values = np.asarray(said, dtype=float)
    if values.shape != (n,):
        raise ValueError(f"exposure {what} has shape {values.shape}; the scan has {n} images")
    return values
