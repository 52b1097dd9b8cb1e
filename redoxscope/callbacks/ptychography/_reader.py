"""Documents of one run of ptychography, in; images and maps, out. No threads here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...documents import FRAMES_STREAM, PTYCHO, STREAM, BlockFrames, PtychoInfo
from ...inputs import plain_number
from ...scan import Role, Scan
from .._analysis import Reader
from .._documents import Doc, check_version, rows_of
from .._doubt import Doubt
from .._room import available_bytes, room_for
from ._darks import Darks, load_mask
from ._frames import FrameFile, UnreadableFramesError
from ._options import PtychoOptions, references_for
from ._region import PartOfRun
from ._snapshot import PtychoSnapshot
from ._task import Piece, Task

__all__ = ["MergedFrames", "PtychoReader", "is_ptychography"]

FLUX = ("i0", "ring_current")
"""What says how much light there was, the better one first."""
COUNTS = ("", "counts")
"""Units of what was counted during a block."""
SLICE = 0.25
"""Longest piece of work (s) between two looks for documents."""
MOST_OPEN = 3
"""Most energies whose frames are kept in memory; fewer where it holds fewer."""
BYTES_PER_PIXEL = 4
"""Of a frame that is kept: its amplitude in half precision, a mask, what share of it there is."""


def is_ptychography(start: Doc) -> bool:
    """Whether a start document announces frames to be reconstructed."""
    return isinstance(start.get(PTYCHO), Mapping) and isinstance(start.get("scan"), Mapping)


@dataclass(frozen=True)
class MergedFrames:
    """Frames of one energy of one region, merged.

    Attributes
    ----------
    index : int
        Of its part in the exposures of the scan, which may have two that are alike.
    region : str
    task : Task
        Knows its geometry.
    pieces : iterator of Piece
        Read once.
    doubts : tuple of Doubt
        What speaks against the frames of the run: a mask that is not there, darks that are missing.
    """

    index: int
    region: str
    task: Task
    pieces: Iterator[Piece]
    doubts: tuple[Doubt, ...]


class PtychoReader(Reader[PtychoSnapshot]):
    """Reconstructs the frames of one run, energy by energy and region by region.

    What comes is noted at once and read, merged and updated piece by piece (`work`), the frames
    that wait first, so that it is known at any time how far behind it is. Only frames that the
    event of a block names by their row are used, and only those whose status is 0.

    Parameters
    ----------
    start : dict
        Start document of ptychography.
    options : PtychoOptions
    keeps : bool
        Frames are kept in memory, for which there must be room; else they are merged only.

    Raises
    ------
    ValueError
        The start document is not one of them; there is not enough memory for one energy.
    """

    def __init__(
        self, start: Doc, options: PtychoOptions | None = None, *, keeps: bool = True
    ) -> None:
        check_version(start)
        self.options = options or PtychoOptions()
        self.info = PtychoInfo.from_start(start)
        scan = Scan.from_start(start)
        self._scan = scan
        most = max(len(part.positions) for part in scan.exposures)
        pixels = self.info.shape[0] * self.info.shape[1]
        self._most_open = MOST_OPEN
        if keeps:
            needed = most * pixels * BYTES_PER_PIXEL
            room_for(f"ptychography of {most} places", needed)
            self._most_open = max(1, min(MOST_OPEN, available_bytes() // needed))
        self._doubts: list[Doubt] = []
        bad = None
        if self.info.mask is not None:
            try:
                bad = load_mask(self.info.mask, self.info.shape)
            except ValueError as exc:
                self._doubts.append(Doubt("mask", 0, f"All pixels are used: {exc}."))
        self.darks = Darks(self.info.shape, self.info.pedestal)
        self._dark_blocks: dict[tuple[int, int], BlockFrames] = {}
        self._parts = self._make_parts(start, scan, bad)
        self._of = {k: part for part in self._parts.values() for k in part.tasks}
        self._file: FrameFile | None = None
        self._unreadable = ""
        self._units: dict[str, str] = {}
        self._live = False
        self._newest = next(iter(self._parts), "")
        self._final: tuple[bool, str] = False, ""

    def _make_parts(self, start: Doc, scan: Scan, bad: Any) -> dict[str, PartOfRun]:
        names = tuple(region.name for region in scan.regions) or ("",)
        tasks: dict[str, dict[int, Task]] = {}
        for k, part in enumerate(scan.exposures):
            if part.role is Role.DARK:
                continue
            name = names[part.region or 0]
            values = ", ".join(
                f"{value:g} {outer.unit}"
                for value, outer in zip(part.outer, scan.outer, strict=True)
            )
            name = f"{name}, {values}".strip(", ") if values else name
            tasks.setdefault(name, {})[k] = Task(part, self.info, self.darks, bad, self.options.xp)
        uid = str(start["uid"])
        said = (start.get("edge"), start.get("holder"), uid[:8])
        title = " · ".join(str(text) for text in said if text)
        if len(tasks) == 1:
            tasks = {"": next(iter(tasks.values()))}
        found = {}
        for name, own in tasks.items():
            energies = [task.part.energy for task in own.values()]
            references, why = references_for(start, energies, self.options)
            frame = PtychoSnapshot(
                energies=tuple(energies), region=name, regions=tuple(tasks), title=title, uid=uid
            )
            found[name] = PartOfRun(own, references, why, frame)
        return found

    @property
    def part_names(self) -> tuple[str, ...]:
        """Regions, with the values of outer loops where there are any."""
        return tuple(self._parts)

    # -- in ------------------------------------------------------------------------------------

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether what is of its stream is wanted."""
        if descriptor.get("name") == STREAM:
            keys = descriptor.get("data_keys") or {}
            self._units = {key: str(keys[key].get("units") or "") for key in FLUX if key in keys}
        return descriptor.get("name") in (STREAM, FRAMES_STREAM)

    def take(self, name: str, doc: Doc) -> list[float]:
        """Take blocks, or the announcement of their file; the times of the blocks (s)."""
        if name == "stream_resource":
            if doc.get("data_key") == self.info.image:
                self._set_file(doc)
            return []
        if name == "stream_datum":
            return []
        stamps = []
        for _, data, stamp in rows_of(name, doc, "row"):
            self._take_block(data, stamp)
            stamps.append(stamp)
        self._unreadable = ""  # worth another look
        return stamps

    def _set_file(self, resource: Doc) -> None:
        new = FrameFile(resource, self.info.shape)
        if self._file is not None and self._file.path != new.path:
            raise ValueError(
                f"the run has frames in {self._file.path} and in {new.path}; one file is read"
            )
        self._file = new

    def _take_block(self, data: Doc, stamp: float) -> None:
        index = int(data["exposure"])
        if not 0 <= index < len(self._scan.exposures):
            raise ValueError(
                f"a block of exposure {index}; the scan has {len(self._scan.exposures)}"
            )
        part = self._scan.exposures[index]
        block = BlockFrames.from_data(data, len(part.times))
        if index not in self._of:
            if len(block.place):
                self._dark_blocks[index, int(block.place[0])] = block
            return
        flux = self._flux(data, sum(part.times[k] for k in block.time))
        owner = self._of[index]
        owner.tasks[index].take(block, stamp, flux)
        owner.changed = True
        self._newest = owner.name

    def _flux(self, data: Doc, seconds: float) -> float:
        """Incident beam of a block, in any unit; NaN where nothing says it.

        Counts are those of the whole block, and go with how long it was to be exposed (s).
        """
        key = next((key for key in FLUX if key in data), "")
        value = _number(data.get(key))
        if key == "i0" and self._units.get(key, "") in COUNTS:
            value = value / seconds if seconds > 0 else math.nan
        return value

    # -- work ----------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether frames wait, or images can be improved."""
        if self._file is None or self._unreadable:
            return False
        return self._next_fed() is not None or self._next_improved() is not None

    def _next_fed(self) -> tuple[PartOfRun, Task] | None:
        """What waits: the newest frames in their order, then those of energies put aside."""
        room = len(self._held()) < self._most_open  # else two would take turns for ever
        waiting = [
            (task.shelved, k, part, task)
            for part in self._parts.values()
            for k, task in part.tasks.items()
            if task.waiting and (room or not task.shelved)
        ]
        if not waiting:
            return None
        _, _, part, task = min(waiting, key=lambda one: one[:2])
        return part, task

    def _next_improved(self) -> tuple[PartOfRun, Task] | None:
        """The energy that frames come into, then the oldest."""
        left = [
            (part, task)
            for part in self._parts.values()
            for task in part.tasks.values()
            if not task.finished and task.in_memory and self._left(task)
        ]
        if not left:
            return None
        return next((one for one in left if not one[1].complete), left[0])

    def _left(self, task: Task) -> int:
        return task.left(self.options.live_updates, self.options.updates)

    def work(self) -> None:
        """Read and merge what waits; else make updates, for a part of a second."""
        self._live = True
        try:
            self._step(time.monotonic() + SLICE)
        except UnreadableFramesError as exc:
            self._unreadable = str(exc)

    def _step(self, until: float) -> None:
        self._read_darks()
        found = self._next_fed()
        if found is not None:
            self._feed(*found)
            return
        found = self._next_improved()
        if found is None:
            return
        part, task = found
        begun = time.monotonic()
        part.updates += task.sweep(self._left(task), lambda: time.monotonic() >= until)
        part.seconds_swept += time.monotonic() - begun
        part.changed = True
        if task.complete and not self._left(task):
            if self.options.modes > 1 and not task.refined:
                task.refine(self.options.modes)
            else:
                task.finish()
                part.update_map()

    def _read_darks(self) -> None:
        if self._file is None:
            return
        for key, block in list(self._dark_blocks.items()):
            times = self._scan.exposures[block.exposure].times
            good = block.status == 0
            frames, there = self._file.read(block.row)
            self.darks.take(block, times, frames, good & there)
            del self._dark_blocks[key]

    def _feed(self, part: PartOfRun, task: Task) -> None:
        assert self._file is not None
        if not task.in_memory:
            self._make_room()
        begun = time.monotonic()
        fed = task.feed(self._file)
        if fed.taken:
            part.updates += task.sweep(fed.taken)
        part.seconds_fed += time.monotonic() - begun
        part.places += fed.places
        part.changed = True
        part.last_behind = max(time.time() - fed.stamp, 0.0) if self._live else math.nan

    def _make_room(self) -> None:
        """Put the oldest energy aside, where many are open: its frames are read again later."""
        held = self._held()
        if len(held) >= self._most_open:
            held[0].shelve()

    def _held(self) -> list[Task]:
        return [t for part in self._parts.values() for t in part.tasks.values() if t.in_memory]

    # -- out -----------------------------------------------------------------------------------

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, PtychoSnapshot]:
        """Images and maps of what has come; at the end all is worked off first."""
        if final and not self._final[0]:
            self._finish()
            self._final = True, message
            for part in self._parts.values():
                part.changed = True
        ended, ending = self._final
        words = " ".join(text for text in (ending or message, self._problem()) if text)
        now = time.time()
        order = sorted(self._parts, key=lambda name: name == self._newest)
        found = {}
        for name in order:
            part = self._parts[name]
            if part.changed and part.begun:
                found[name] = part.snapshot(now, words, self._said(), ended)
                part.changed = False
        return found

    def merged(self) -> Iterator[MergedFrames]:
        """What was taken at each energy of each region, merged and not reconstructed.

        Where nothing was taken, there is nothing.

        Raises
        ------
        UnreadableFramesError
            The file of the frames is not there, or damaged.
        ValueError
            No file of frames was announced.
        """
        if self._file is None:
            raise ValueError("its frames are in no file that was announced")
        self._read_darks()
        for name, part in self._parts.items():
            for k, task in part.tasks.items():
                if not task.waiting:
                    continue
                for time_s in task.part.times:
                    self.darks.mean(time_s)  # notes where there are none
                yield MergedFrames(k, name, task, task.pieces(self._file), tuple(self._said()))

    def _problem(self) -> str:
        return f"Frames cannot be read now: {self._unreadable}." if self._unreadable else ""

    def _said(self) -> list[Doubt]:
        found = list(self._doubts)
        missing = sorted(self.darks.missing)
        if missing:
            listed = ", ".join(f"{t:g} s" for t in missing)
            found.append(
                Doubt(
                    "dark", len(missing),
                    f"There are no dark frames of {listed}: {self.info.pedestal:g} counts are "
                    "taken off each pixel.",
                )
            )  # fmt: skip
        return found

    def _finish(self) -> None:
        """Work off what is left, with no regard for time."""
        self._unreadable = ""
        try:
            self._read_darks()
        except UnreadableFramesError as exc:
            self._unreadable = str(exc)
        for part in self._parts.values():
            for task in part.tasks.values():  # one to its end after the other: bounded memory
                self._feed_all(part, task)
                task.closed = True
                if task.in_memory:
                    begun = time.monotonic()
                    part.updates += task.sweep(self._left(task))
                    if self.options.modes > 1 and not task.refined:
                        task.refine(self.options.modes)
                        part.updates += task.sweep(self._left(task))
                    part.seconds_swept += time.monotonic() - begun
                task.finish()
            part.update_map()
            self._resolve(part)
        if self._file is not None:
            self._file.close()

    def _feed_all(self, part: PartOfRun, task: Task) -> None:
        try:
            while self._file is not None and not self._unreadable and task.waiting:
                self._feed(part, task)
        except UnreadableFramesError as exc:
            self._unreadable = str(exc)

    def _resolve(self, part: PartOfRun) -> None:
        """Reconstruct the brightest energy from halves of its places, and compare these: σ, too."""
        task = part.brightest
        if not self.options.resolution or task is None or self._file is None or self._unreadable:
            return
        images = []
        try:
            for half in task.halves():
                while half.waiting:
                    half.feed(self._file)
                if half.in_memory:
                    half.sweep(self._left(half))
                half.finish()
                images.append(half.result)
        except UnreadableFramesError as exc:  # the images are there, and are worth keeping
            self._doubts.append(Doubt("resolution", math.nan, f"No resolution: {exc}."))
            return
        one, other = images
        if one is None or other is None:
            return
        try:
            part.resolution = task.compare(one, other)
            part.resolution_ev = task.part.energy
        except ValueError as exc:  # too small an area
            self._doubts.append(Doubt("resolution", math.nan, f"No resolution: {exc}."))


def _number(value: Any) -> float:
    number = plain_number(value)
    return math.nan if number is None else number
