"""Leaves out of a stack what its map does not need: rows, and energies once it is good enough."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from ...analysis.oxidation import (
    Detector,
    Forecast,
    StackFit,
    Target,
    blocks_of,
    forecast,
    rows_that_matter,
)
from ...data import References
from ...documents import LineStatus
from ...scan import Frame, Role, Scan
from .._pauses import in_thread
from .._protocols import Microscope
from .._readable import duration
from .._run import Ended
from .._schedule import schedule
from ._checks import i0_of_checks
from ._order import without_spectra

__all__ = ["Adaptive", "adaptive_for"]

log = logging.getLogger("redoxscope.plans")

MOST_PIXELS = 65_536
"""Of larger images every second, third, ... line is judged: a share needs no more."""
RECENT = 5
"""Images whose pace is taken for that of those to come: with fewer rows more of it is moves."""
TAKEN = (LineStatus.OK, LineStatus.RETRIED)
Outer = tuple[float, ...]


def adaptive_for(
    stxm: Microscope,
    scan: Scan,
    references: References | None,
    metadata: dict[str, Any],
    target: Target | None,
    rows: str,
) -> Adaptive | None:
    """What leaves out of a scan what its map does not need; None where nothing is to be.

    Parameters
    ----------
    stxm : Microscope
    scan : Scan
        Of images.
    references : References, optional
    metadata : dict
        The plan's start document, into which it is written.
    target : Target, optional
    rows : {"all", "informative"}

    Raises
    ------
    ValueError
        There are no references.
    """
    if target is None and rows == "all":
        return None
    if references is None:
        said = "until" if target is not None else f"rows = {rows!r}"
        raise ValueError(without_spectra(said, scan))
    if target is not None:
        metadata["until"] = target.as_dict()
    if rows != "all":
        metadata["rows"] = rows
    times = schedule(scan, stxm)
    seconds = times.motion + times.live + times.flight + times.software
    return Adaptive(
        scan, references, metadata["detectors"], seconds, target=target, rows=rows != "all"
    )


class Adaptive:
    """Watches the lines of a run, and judges after each energy.

    It gets documents as a live map does, and keeps sums of its own: a plan that depended on what
    somebody's window computes would end otherwise without the window.

    Parameters
    ----------
    scan : Scan
        Of images of a sample.
    references : References
    detectors : sequence of str
        Data keys of the counters, the one behind the sample first.
    seconds : numpy.ndarray [frames]
        What each image will take, its move included; NaN where that is not known.
    target : Target, optional
        Ends it when it is reached.
    rows : bool
        Whether rows that do not matter are left out.
    clock : callable
        Time (s).
    """

    def __init__(
        self,
        scan: Scan,
        references: References,
        detectors: Sequence[str],
        seconds: Any,
        *,
        target: Target | None = None,
        rows: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target, self.choose_rows = target, rows
        self._scan, self._clock = scan, clock
        self._seconds = np.asarray(seconds, dtype=float)
        self._counts = detectors[0]
        self._monitor = "i0" if "i0" in detectors[1:] else None
        self._parts: dict[tuple[Outer, int], _Part] = {}
        for frame in scan.frames:
            key = frame.outer, frame.region
            if frame.role is Role.SAMPLE and key not in self._parts:
                self._parts[key] = _Part(scan, key, references)
        self._of_frame = {i: part for part in self._parts.values() for i in part.frames}
        self._i0_of_checks = i0_of_checks(scan)
        self._given_up = False
        self._regions: dict[str, int] = {}
        self._paces: list[float] = []
        self._begun, self._judged_to = clock(), 0
        self._enough: dict[Outer, str] = {}
        self.forecasts: list[Forecast] = []
        """What was said after each energy, of the part that is furthest from the target."""
        self.seconds_left = math.nan
        """How long all of it will take yet (s), as said last: turns of the outer loops that are to
        come count with as many energies as the present one."""
        self.words = ""
        """How far the present turn is, and how long it will take, as said last."""

    # -- documents -----------------------------------------------------------------------------

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document of the run."""
        if name == "descriptor":
            region = self._scan.region_in(str(doc.get("name")))
            if region is not None:
                self._regions[doc["uid"]] = region
                self._configure(region, doc)
        elif name == "event_page" and doc["descriptor"] in self._regions:
            data = doc["data"]
            for i, frame in enumerate(data["frame"]):
                if frame in self._of_frame:
                    row = {key: values[i] for key, values in data.items()}
                    monitor = None if self._monitor is None else row[self._monitor]
                    self._of_frame[frame].take(row, row[self._counts], monitor)

    def _configure(self, region: int, doc: Mapping[str, Any]) -> None:
        said: dict[str, Any] = {}
        for part in doc.get("configuration", {}).values():
            said |= part.get("data", {})

        def detector(name: str) -> Detector:
            return Detector(
                float(said.get(f"{name}_dead_time") or 0.0),
                float(said.get(f"{name}_saturation") or 0.0),
            )

        for part in self._parts.values():
            if part.region == region:
                part.build(detector(self._counts), detector("i0"))

    # -- the plan ------------------------------------------------------------------------------

    def skips(self, index: int) -> bool:
        """Whether image ``index`` is not needed any more.

        A dose check is, of an energy measured, and the image of the empty beam with it.
        """
        frame = self._scan.frames[index]
        if frame.outer not in self._enough:
            return frame.role is Role.SAMPLE and self.blocks(frame) == []
        check = frame.role is Role.DOSE_CHECK
        checks = (index,) if check else self._i0_of_checks.get(index, ())
        return not any(self._measured(self._scan.frames[i]) for i in checks)

    def _measured(self, check: Frame) -> bool:
        """Whether there is something that a dose check repeats."""
        return check.energy in self._parts[check.outer, check.region].measured

    def blocks(self, frame: Frame) -> list[range] | None:
        """Rows of an image that are flown, in blocks; None: all."""
        part = self._parts.get((frame.outer, frame.region))
        if part is None or frame.role is not Role.SAMPLE:
            return None
        return part.blocks

    def judged(self, index: int) -> MsgGenerator[None]:
        """Judge what there is after image ``index``, the last one at its energy.

        In a thread, since the map of a large image takes longer than the RunEngine should wait.
        """
        outer = self._scan.frames[index].outer
        yield from in_thread(partial(self._judge, outer, index))

    def told(self) -> tuple[float, str]:
        """What was said last: seconds left, NaN where that is not known, and in words."""
        return self.seconds_left, self.words

    def resumed(self, begin: int) -> MsgGenerator[None]:
        """Judge what earlier runs have measured, whose documents it was given.

        Parameters
        ----------
        begin : int
            The image at which this run begins.
        """
        yield from in_thread(partial(self._catch_up, begin))

    def _catch_up(self, begin: int) -> None:
        last = {
            frame.outer: index
            for index, frame in enumerate(self._scan.frames[:begin])
            if frame.role is Role.SAMPLE
        }
        for outer, index in last.items():
            self._judged_to = index + 1  # how long ago those runs were is no pace of this one
            self._judge(outer, index)
        # Part of that image is there already: the time until it is judged is no pace.
        self._begun, self._judged_to = math.nan, begin

    def ended(self) -> Ended | None:
        """What the stop document says, where images were left out."""
        if not self._enough:
            if self.target is not None and self.words:
                log.warning("until: not reached: %s", self.words)
            return None
        return Ended("until: " + "; ".join(dict.fromkeys(self._enough.values())))

    def _judge(self, outer: Outer, index: int) -> None:
        """Judge; what goes wrong costs the choice, and no lines: all that is left is flown."""
        if self._given_up or outer in self._enough:
            return
        try:
            self._judge_now(outer, index)
        except Exception as exc:
            self._given_up = True
            self.seconds_left, self.words = math.nan, ""
            for part in self._parts.values():
                part.blocks = None
            log.error(
                "what is measured after image %d could not be judged (%r): no rows and no "
                "energies are left out from now on", index, exc, exc_info=True,
            )  # fmt: skip

    def _judge_now(self, outer: Outer, index: int) -> None:
        self._pace(index)
        parts = [part for (around, _), part in self._parts.items() if around == outer]
        found = [(part, part.judge(self.target, self.choose_rows)) for part in parts]
        if self.target is None:
            return
        known = [(part, one) for part, one in found if one is not None]
        if len(known) < len(found):  # a region to come
            return
        part, worst = min(
            known, key=lambda k: (k[1].needed is not None, -(k[1].needed or 0), k[1].share)
        )
        self.forecasts.append(worst)
        names = {one: self._scan.regions[one.region].name for one in parts if len(parts) > 1}
        if all(one.enough for _, one in known):
            self.words = "; ".join(
                one.in_words(self.target, of=names.get(of, "")) for of, one in known
            )
            self._enough[outer] = self.words
            checks = [i for i in self._to_come(outer) if not self.skips(i)]
            wanted = max(len(one.measured) for one in parts)
            self.seconds_left = self._planned(checks) * self._usual() + self._later(outer, wanted)
            log.info("until: reached: %s", self.words)
            return
        wanted = worst.needed or worst.total
        turn = self._left(outer, wanted)
        self.seconds_left = turn + self._later(outer, wanted)
        left = "" if math.isnan(turn) else duration(turn)
        if left and not worst.foretold and worst.earliest is not None:
            ends = (self._left(outer, n or worst.total) for n in (worst.earliest, worst.latest))
            left = "{} to {}".format(*map(duration, ends))
        self.words = worst.in_words(self.target, of=names.get(part, ""), left=left)
        log.info("until: %s", self.words)

    def _pace(self, index: int) -> None:
        """How much longer images take than was planned; a pause is one that is left out."""
        now = self._clock()
        planned = self._planned(range(self._judged_to, index + 1))
        if planned > 0 and not math.isnan(self._begun):
            self._paces.append((now - self._begun) / planned)
        self._begun, self._judged_to = now, index + 1

    def _left(self, outer: Outer, wanted: int) -> float:
        """What is to come until so many energies are there (s), with the rows flown now."""
        energies: set[float] = set()
        for frame in self._scan.frames:
            if frame.outer == outer and frame.role is Role.SAMPLE and len(energies) < wanted:
                energies.add(frame.energy)
        rest = [i for i in self._to_come(outer) if self._scan.frames[i].energy in energies]
        return self._planned(rest) * self._usual()

    def _later(self, outer: Outer, wanted: int) -> float:
        """What the turns after this one take (s), with as many energies."""
        ahead = {frame.outer for frame in self._scan.frames[self._judged_to :]}
        ahead -= {outer, *self._enough}
        return sum(self._left(one, wanted) for one in sorted(ahead))

    def _to_come(self, outer: Outer) -> list[int]:
        """Images of a turn that were not taken yet."""
        frames = enumerate(self._scan.frames)
        return [i for i, one in frames if i >= self._judged_to and one.outer == outer]

    def _usual(self) -> float:
        """By how much images take longer than was planned."""
        paces = self._paces[-RECENT:] if self.choose_rows else self._paces
        return float(np.median(paces)) if paces else 1.0

    def _planned(self, images: Sequence[int]) -> float:
        """What images should take (s) with the rows that are flown now."""
        found = 0.0
        for i in images:
            part = self._of_frame.get(i)
            found += float(self._seconds[i]) * (1.0 if part is None else part.share)
        return found


class _Part:
    """The sums of one region within one turn of the outer loops."""

    def __init__(self, scan: Scan, key: tuple[Outer, int], references: References) -> None:
        outer, self.region = key
        self.frames = [
            i
            for i, frame in enumerate(scan.frames)
            if (frame.outer, frame.region) == key and frame.role is Role.SAMPLE
        ]
        self._place = {i: k for k, i in enumerate(self.frames)}
        frames = [scan.frames[i] for i in self.frames]
        self._energies = [frame.energy for frame in frames]
        self._dwell = [frame.dwell for frame in frames]
        self._design = references.design(self._energies)
        self._species, self._least = len(references.names), references.min_thickness or 0.0
        nx, ny = scan.regions[self.region].pixels
        self._step = max(1, math.ceil(nx * ny / MOST_PIXELS))
        self._shape = (math.ceil(ny / self._step), nx)
        self._ny = ny
        self._fit: StackFit | None = None
        self.blocks: list[range] | None = None
        """Rows of the next image; None: all."""

    @property
    def share(self) -> float:
        """Share of the rows that the next image has."""
        return 1.0 if self.blocks is None else sum(map(len, self.blocks)) / self._ny

    @property
    def measured(self) -> set[float]:
        """Energies (eV) of which lines have come."""
        if self._fit is None:
            return set()
        come = np.asarray(self._fit.lines_present.any(axis=1))
        return {
            energy for energy, there in zip(self._energies, come.tolist(), strict=True) if there
        }

    def build(self, transmission: Detector, monitor: Detector) -> None:
        """Begin, where that has not been."""
        if self._fit is None:
            self._fit = StackFit(
                self._design, self._species, self._shape, dwell=self._dwell,
                transmission=transmission, monitor=monitor, min_thickness=self._least,
                energies=self._energies, dtype=np.float32,
            )  # fmt: skip

    def take(self, row: Mapping[str, Any], counts: Any, monitor: Any) -> None:
        """Take a line; one that came before is replaced."""
        line, rest = divmod(int(row["line"]), self._step)
        if rest:
            return
        assert self._fit is not None
        taken = row["line_status"] in TAKEN
        back = row["sample_x"][0] > row["sample_x"][-1]

        def values(given: Any) -> Any:
            array = np.asarray(given, dtype=float)
            array = array[::-1] if back else array
            return array if taken else np.full(array.shape, np.nan)

        self._fit.set_line(
            self._place[row["frame"]], line, values(counts),
            None if monitor is None else values(monitor),
        )  # fmt: skip

    def judge(self, target: Target | None, rows: bool) -> Forecast | None:
        """Choose the rows of the next image, and say how far it is; None before any line."""
        if self._fit is None:
            return None
        result = self._fit.solve(self._fit.refresh())
        chosen = rows_that_matter(self._fit, result, target) if rows else None
        if chosen is not None:
            self.blocks = blocks_of(np.repeat(chosen, self._step)[: self._ny])
        return None if target is None else forecast(self._fit, result, target, chosen)
