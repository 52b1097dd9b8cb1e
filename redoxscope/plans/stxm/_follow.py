"""Moves the regions of a stack after a sample that drifts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator
from numpy.typing import NDArray

from ...analysis.registration import LEAST_SIDE, DriftTracker
from ...documents import FOLLOWED, LineStatus
from ...scan import Region, Role, Scan
from .._pauses import in_thread

__all__ = ["Follow", "corners"]

log = logging.getLogger("redoxscope.plans")

TAKEN = (LineStatus.OK, LineStatus.RETRIED)
LEAST = 0.25
"""Pixels by which the sample must have moved for its region to follow: a stage moves only for
what matters to the picture."""
SURE = 3.0
"""... and standard deviations."""
MOST_LOST = 0.1
"""Share of the lines that the first image may lack: all others are compared with it."""


def corners(scan: Scan, farthest: float) -> Iterator[Scan]:
    """The scan with its regions as far away (µm) as they may be moved, each way."""
    for dx in (-farthest, farthest):
        for dy in (-farthest, farthest):
            regions = tuple(_moved(region, (dx, dy)) for region in scan.regions)
            yield replace(scan, regions=regions)


class Follow:
    """Watches the lines of a run; registers each image, and says where its region is now.

    It gets documents as a live map does: a plan that depended on somebody's window would go
    elsewhere without it.

    Parameters
    ----------
    scan : Scan
        Of images.
    counts : str
        Data key of the counter behind the sample.
    farthest : float
        How far a region may be moved along x and along y (µm).
    offsets : mapping of int to tuple of float, optional
        By how much (x, y; µm) regions are moved when it begins.

    Raises
    ------
    ValueError
        An image has too few pixels to be registered.
    """

    def __init__(
        self,
        scan: Scan,
        counts: str,
        farthest: float,
        offsets: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        self._scan, self._counts, self.farthest = scan, counts, farthest
        self._regions: dict[str, int] = {}
        self._images: dict[int, NDArray[np.float64]] = {}
        self._taken_at: dict[int, tuple[float, float]] = {}
        energies = [frame.energy for frame in scan.frames]
        self._trackers: dict[int, DriftTracker] = {}
        for index in {f.region for f in scan.frames if self._has_sample(f.role)}:
            nx, ny = scan.regions[index].pixels
            if min(nx, ny) < LEAST_SIDE:
                raise ValueError(
                    f"follow_drift needs images of {LEAST_SIDE} pixels a side at least; region "
                    f"{scan.regions[index].name!r} has {nx} x {ny}"
                )
            self._trackers[index] = DriftTracker(energies, (ny, nx))
        self._offsets = dict.fromkeys(range(len(scan.regions)), (0.0, 0.0)) | dict(offsets or {})
        self._told: set[int] = set()
        self._disbelieved: set[int] = set()
        self._given_up = False

    @staticmethod
    def _has_sample(role: Role) -> bool:
        return role in (Role.SAMPLE, Role.DOSE_CHECK)

    def offset(self, region: int) -> tuple[float, float]:
        """By how much (x, y; µm) a region is moved now."""
        return self._offsets[region]

    def region(self, region: int) -> Region:
        """The region where it is now."""
        return _moved(self._scan.regions[region], self._offsets[region])

    # -- documents -----------------------------------------------------------------------------

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document of the run."""
        if name == "descriptor":
            region = self._scan.region_in(str(doc.get("name")))
            if region in self._trackers:
                self._regions[doc["uid"]] = region
        elif name == "event_page" and doc["descriptor"] in self._regions:
            region = self._regions[doc["descriptor"]]
            nx, ny = self._scan.regions[region].pixels
            data = doc["data"]
            for i, frame in enumerate(data["frame"]):
                if not self._has_sample(self._scan.frames[frame].role):
                    continue
                if frame not in self._images:
                    self._images[frame] = np.full((ny, nx), np.nan)
                    x, y = (float(data[key][i]) for key in FOLLOWED)
                    self._taken_at[frame] = x, y  # where it was flown, not where it is now
                counts = np.asarray(data[self._counts][i], dtype=float)
                if data["line_status"][i] not in TAKEN:
                    counts = np.full(nx, np.nan)
                elif data["sample_x"][i][0] > data["sample_x"][i][-1]:
                    counts = counts[::-1]
                self._images[frame][data["line"][i]] = counts

    # -- the plan ------------------------------------------------------------------------------

    def seen(self, index: int) -> MsgGenerator[None]:
        """Register image ``index``; in a thread, since a large one takes a while."""
        frame = self._scan.frames[index]
        if index in self._images and self._has_sample(frame.role):
            yield from in_thread(partial(self._register, index))

    def _register(self, index: int) -> None:
        """Register; what goes wrong in it ends the following, and not the stack."""
        counts = self._images.pop(index)
        if self._given_up:
            return
        try:
            self._register_now(index, counts)
        except Exception as exc:
            self._given_up = True
            log.error(
                "follow_drift: image %d could not be registered (%r): the regions stay where they "
                "are from now on", index, exc, exc_info=True,
            )  # fmt: skip

    def _register_now(self, index: int, counts: NDArray[np.float64]) -> None:
        region = self._scan.frames[index].region
        tracker = self._trackers[region]
        if not tracker.images and np.isnan(counts).all(axis=1).mean() > MOST_LOST:
            self._taken_at.pop(index)
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            tracker.add(index, np.log(counts), 1.0 / counts)
        drift = tracker.drift
        if not drift.known[index]:
            return
        if drift.disbelief:
            if region not in self._disbelieved:
                self._disbelieved.add(region)
                log.warning("follow_drift: the shifts are not believed: %s", drift.disbelief)
            return
        # What has to be moved back by so much has moved on by as much.
        pixel = _pixel(self._scan.regions[region])
        away = -drift.shifts[index] * pixel
        sure = np.maximum(SURE * drift.sigma[index], LEAST) * pixel
        here, there = self._taken_at.pop(index), []
        for i, by, least in zip((1, 0), away.tolist(), sure.tolist(), strict=True):
            wanted = here[i] + (by if abs(by) > least else 0.0)
            there.append(float(np.clip(wanted, -self.farthest, self.farthest)))
            if abs(wanted) > self.farthest and region not in self._told:
                self._told.add(region)
                name = self._scan.regions[region].name or "the region"
                log.warning(
                    "follow_drift: the sample has moved by %+.2f µm along %s, and %s may be moved "
                    "by %g µm: it is followed no further",
                    wanted, "xy"[i], name, self.farthest,
                )  # fmt: skip
        self._offsets[region] = there[1], there[0]


def _pixel(region: Region) -> NDArray[np.float64]:
    """Height and width of a pixel, µm."""
    (width, height), (nx, ny) = region.size, region.pixels
    return np.array([height / ny, width / nx])


def _moved(region: Region, by: Sequence[float]) -> Region:
    return replace(region, center=(region.center[0] + by[0], region.center[1] + by[1]))
