"""Ends a stack before a pixel of the sample has more dose than it may."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.dose import DoseLimit
from ...data import References
from ...documents import LineStatus, flights
from ...scan import Frame, Role, Scan
from .._readable import with_prefix
from .._run import Ended
from ..estimates import frame_doses
from ._checks import i0_of_checks

__all__ = ["DoseGuard", "after", "guarded"]

log = logging.getLogger("redoxscope.plans")

ROUNDING = 1e-6
"""Less than that (µm) regions do not overlap."""


def guarded(
    stxm: Any,
    scan: Scan,
    references: References | None,
    limit: DoseLimit | None,
    metadata: dict[str, Any],
) -> DoseGuard | None:
    """What keeps the limit of a scan, if there is one; the start document tells the dose.

    Raises
    ------
    ValueError
        The limit cannot be kept: flux, material or the time between lines are not known, there is
        no shutter, or one image is too much.
    """
    known = {} if limit is None else {"density": limit.density, "thickness": limit.thickness}
    left = frame_doses(scan, stxm, references=references, **known)
    if left.photons is not None:
        metadata["exposure"] = left.as_start()
    if limit is None:
        return None
    if not getattr(stxm.shutter, "takes_beam", True):
        raise ValueError(
            "dose_limit cannot be kept: there is no shutter, so the sample has beam between lines "
            "and images, in pauses and afterwards, too"
        )
    if left.gray is None or left.lacking:
        raise ValueError(f"dose_limit cannot be kept: {left.unknown or left.lacking}")
    metadata["dose_limit"] = limit.as_dict()
    return DoseGuard(limit, scan, left.gray)


def after(
    limit: DoseLimit, scan: Scan, stxm: Any, references: References | None = None
) -> DoseLimit:
    """The limit that is left when a scan has been measured, each line once.

    Parameters
    ----------
    limit : DoseLimit
    scan : Scan
        Of images.
    stxm : Microscope
    references : References, optional
        What absorbs; by default those of the scan's edge.

    Raises
    ------
    ValueError
        Nothing is left, or the dose of the scan is not known.
    """
    known = {"density": limit.density, "thickness": limit.thickness}
    left = frame_doses(scan, stxm, references=references, **known)
    if left.gray is None or left.lacking:
        raise ValueError(f"dose_limit cannot be kept: {left.unknown or left.lacking}")
    regions = np.array([frame.region for frame in scan.frames])
    return replace(limit, before=limit.before + float(np.bincount(regions, left.gray).max()))


class DoseGuard:
    """Adds up what the lines of a run have left, and says before each image whether it may be.

    It gets documents, as who watches the map does: a line that was flown again, or lost,
    counts as often as it may have been tried.

    Parameters
    ----------
    limit : DoseLimit
    scan : Scan
        Of images.
    gray : numpy.ndarray [frames]
        Of each image on one pixel (Gy).

    Raises
    ------
    ValueError
        Not even the first image may be.
    """

    def __init__(self, limit: DoseLimit, scan: Scan, gray: NDArray[np.float64]) -> None:
        self.limit, self._scan, self._gray = limit, scan, gray
        self._lines = [np.zeros(region.pixels[1]) for region in scan.regions]
        self._flights: dict[tuple[int, int], int] = {}
        self._descriptors: set[str] = set()
        self._stopped: int | None = None
        self._left_out = 0
        self._taken: set[Any] = set()
        self._check_frames = [
            i for i, frame in enumerate(scan.frames) if frame.role is Role.DOSE_CHECK
        ]
        self._i0_of_checks = i0_of_checks(scan)
        extents = [region.extents for region in scan.regions]
        half = [
            [size / n / 2 for size, n in zip(region.size, region.pixels, strict=True)]
            for region in scan.regions
        ]
        self._with = [
            [j for j in range(len(extents)) if _touch(extents[i], half[i], extents[j], half[j])]
            for i in range(len(extents))
        ]
        first = next((i for i, one in enumerate(gray) if one > 0), None)
        if first is not None and not self._fits(first, self._checks(first)):
            frame = scan.frames[first]
            raise ValueError(
                f"dose_limit = {_gy(limit.limit)}: the image at {frame.energy:g} eV alone, with "
                f"retries = {scan.retries}, leaves {_gy(self._worst(first))}, and the sample has "
                f"had {_gy(limit.before)}"
            )
        whole = max(
            sum(float(gray[i]) for i, frame in enumerate(scan.frames) if frame.region in near)
            for near in self._with
        )
        if limit.before + whole > limit.limit:
            log.warning(
                "dose_limit: all images would leave %s where the sample has had %s; at %s it ends",
                _gy(whole), _gy(limit.before), _gy(limit.limit),
            )  # fmt: skip

    @property
    def gray(self) -> float:
        """Dose of the pixel that has most (Gy), with what it had before."""
        return self.limit.before + max(self._of(i) for i in range(len(self._lines)))

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document of the run."""
        if name == "descriptor" and self._scan.region_in(str(doc.get("name"))) is not None:
            self._descriptors.add(doc["uid"])
        elif name == "event_page" and doc["descriptor"] in self._descriptors:
            data = doc["data"]
            for frame, line, status in zip(
                data["frame"], data["line"], data["line_status"], strict=True
            ):
                self._line(int(frame), int(line), int(status))

    def had(self, lines: Iterable[tuple[int, int, int]], begin: int) -> None:
        """Take lines (frame, line, status) of a run before; they ended in image ``begin``.

        What another run flies again adds to them.
        """
        for frame, line, status in lines:
            self._line(frame, line, status)
        self._flights.clear()
        self._taken |= {
            _key(frame) for frame in self._scan.frames[:begin] if frame.role is not Role.DOSE_CHECK
        }

    def _line(self, frame: int, line: int, status: int) -> None:
        flown = flights(status, self._scan.retries)
        more = flown - self._flights.get((frame, line), 0)
        if more > 0:  # the same event may come again, after a pause
            self._flights[frame, line] = flown
            self._lines[self._scan.frames[frame].region][line] += more * self._gray[frame]

    def allows(self, index: int) -> bool:
        """Whether an image may be taken, with as many flights of each line as it may need.

        Room is kept for the dose checks of what was measured: they are taken at the end, so that
        what the beam has done is known where it has done most, and the images of the empty beam
        with them.
        """
        frame = self._scan.frames[index]
        if frame.role is Role.DOSE_CHECK:
            due = self._stopped is None or _key(frame) in self._taken
            fits = due and self._fits(index)
        elif self._gray[index] > 0:
            fits = self._stopped is None and self._fits(index, self._checks(index))
        else:
            checks = (self._scan.frames[i] for i in self._i0_of_checks.get(index, ()))
            fits = self._stopped is None or any(_key(check) in self._taken for check in checks)
        if fits:
            self._taken.add(_key(frame))
        else:
            self._left_out += 1
            self._stopped = index if self._stopped is None else self._stopped
        return fits

    def planned(self, images: Iterable[int]) -> list[int]:
        """Those of the images that it will allow where no line is flown again."""
        shared = {id(part): part for part in (self._scan, self._gray)}
        trial = deepcopy(self, shared)
        found: list[int] = []
        for index in images:
            if trial.allows(index):
                region = self._scan.regions[self._scan.frames[index].region]
                lines = range(region.pixels[1])
                trial.had(((index, line, LineStatus.OK) for line in lines), 0)
                found.append(index)
        return found

    def _checks(self, index: int) -> float:
        """What the dose checks that are due may leave where image ``index`` is (Gy)."""
        near = self._with[self._scan.frames[index].region]
        due = {*self._taken, _key(self._scan.frames[index])}
        return sum(
            self._worst(i)
            for i in self._check_frames
            if i > index
            and self._scan.frames[i].region in near
            and _key(self._scan.frames[i]) in due
        )

    def ended(self) -> Ended | None:
        """What the stop document says, where images were left out."""
        if self._stopped is None:
            return None
        text = (
            f"dose_limit: {_gy(self.gray)} of {_gy(self.limit.limit)} are reached; "
            f"{self._left_out} of "
            f"{len(self._scan.frames)} images were not taken"
        )
        log.warning("%s", text)
        return Ended(text)

    def _fits(self, index: int, more: float = 0.0) -> bool:
        had = self.limit.before + self._of(self._scan.frames[index].region)
        return had + self._worst(index) + more <= self.limit.limit

    def _worst(self, index: int) -> float:
        return float(self._gray[index]) * (1 + self._scan.retries)

    def _of(self, region: int) -> float:
        """What a pixel of a region may have had: regions that overlap share theirs."""
        return float(sum(self._lines[j].max() for j in self._with[region]))


def _key(frame: Frame) -> Any:
    """What a dose check has in common with the image that it repeats."""
    return frame.energy, frame.region, frame.outer


def _touch(a: Any, half_a: Any, b: Any, half_b: Any) -> bool:
    """Whether regions overlap; tiles that lie side by side do not, however their edges round."""
    return all(
        min(b[k]) - half_b[k] < max(a[k]) + half_a[k] - ROUNDING
        and min(a[k]) - half_a[k] < max(b[k]) + half_b[k] - ROUNDING
        for k in (0, 1)
    )


def _gy(value: float) -> str:
    return with_prefix(value, "Gy")
