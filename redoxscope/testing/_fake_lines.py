"""A scanner that flies lines, and the microscope around it, with no controller behind them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from bluesky.utils import NoReplayAllowed
from ophyd.status import Status

from ..devices import FrameTime
from ..documents import LineStatus
from ..scan import Raster, Region, Scan
from ._fake_parts import FakeAxis, FakePoint, FakeSetting, FakeShutter, reading, settled

__all__ = ["FakeLines", "FakeMicroscope"]

ENERGY, CURRENT = 600.0, 500.0


class FakeLines:
    """Flies images line by line: each ``trigger`` brings the next one, or each call of ``fly``.

    From kickoff to complete it goes on by itself after a pause, and tells the RunEngine to replay
    nothing, as every line scanner must.

    Parameters
    ----------
    energy : FakeAxis
        Recorded with each line (eV).
    shutter : FakeShutter
        It has to follow while lines are flown.
    name : str
    fields : sequence of str
        Detectors.
    count : callable, optional
        ``count(field, line)`` gives the counts of each pixel; by default 1000.
    prompt : bool
        A trigger brings the next line.
    stage : tuple of FakeAxis, optional
        Coarse axes x and y (µm): where they stand is added to the positions of a line.

    Attributes
    ----------
    dark : list of int
        Lines that were flown without beam.
    halted : int
        How often a pause halted it.
    """

    parent = None

    def __init__(
        self,
        energy: FakeAxis,
        shutter: FakeShutter,
        name: str = "scanner",
        *,
        fields: Sequence[str] = ("transmission", "i0"),
        count: Callable[[str, int], float] | None = None,
        prompt: bool = True,
        stage: tuple[FakeAxis, FakeAxis] | None = None,
    ) -> None:
        self.name, self.fields, self.prompt = name, tuple(fields), prompt
        self._stage = stage
        self.dark: list[int] = []
        self.halted = 0
        self._energy, self._shutter = energy, shutter
        self._count = count or (lambda field, line: 1000.0)
        self._raster: Raster | None = None
        self._open = self._flying = False
        self._next = 0
        self._broken: int | None = None  # line that a pause broke off
        self._ready: deque[tuple[dict[str, Any], float]] = deque()
        self._waiter: Status | None = None

    def __repr__(self) -> str:
        return self.name

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """Dwell (s) of all pixels, and no more."""
        return FrameTime(nx * ny * dwell, 0.0, 0.0)

    def prepare(self, raster: Raster) -> Status:
        """Take a raster."""
        self._raster = raster
        self._ready.clear()
        return settled()

    def kickoff(self) -> Status:
        """Begin an image, with the shutter following.

        Raises
        ------
        RuntimeError
            None was prepared, or the last one is still open.
        """
        if self._raster is None or self._open:
            raise RuntimeError(
                f"{self.name}: kickoff {'twice' if self._open else 'before prepare'}"
            )
        self._open = self._flying = True
        self._next, self._broken = 0, None
        self._shutter.set("follow")
        return settled()

    @property
    def flown(self) -> bool:
        """Whether every line of the image is ready or was collected."""
        return self._raster is None or self._next >= self._raster.ny

    def trigger(self) -> Status:
        """Status that is done when a line is ready."""
        if self._waiter is None or self._waiter.done:
            self._waiter = Status()
        waiter = self._waiter
        if self.prompt and not self._ready:
            self.fly()
        self._notify()
        return waiter

    def fly(self) -> None:
        """Fly the next line, unless it is halted."""
        raster, line = self._raster, self._next
        if raster is None or not self._flying or self.flown:
            return
        if not self._shutter.beam:
            self.dark.append(line)
        step = (raster.x_stop - raster.x_start) / max(raster.nx - 1, 1)
        rise = (raster.y_stop - raster.y_start) / max(raster.ny - 1, 1)
        x, y = (0.0, 0.0) if self._stage is None else (axis.position for axis in self._stage)
        row: dict[str, Any] = {
            "energy": float(self._energy.position),
            "ring_current": CURRENT,
            "line": line,
            "line_status": int(LineStatus.RETRIED if line == self._broken else LineStatus.OK),
            "sample_x": [x + raster.x_start + step * i for i in range(raster.nx)],
            "sample_y": [y + raster.y_start + rise * line] * raster.nx,
        }
        row |= {field: [float(self._count(field, line))] * raster.nx for field in self.fields}
        self._ready.append((row, time.time()))
        self._next += 1
        self._notify()

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done and (self._ready or self.flown):
            self._waiter.set_finished()

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """One page with the lines that are ready."""
        rows = [self._ready.popleft() for _ in range(len(self._ready))]
        if rows:
            yield {
                "data": {key: [row[key] for row, _ in rows] for key in rows[0][0]},
                "timestamps": {key: [when for _, when in rows] for key in rows[0][0]},
            }

    def describe_collect(self) -> dict[str, Any]:
        """Data keys of a line."""
        nx = 0 if self._raster is None else self._raster.nx
        number = {"source": "fake", "dtype": "number", "dtype_numpy": "<f8", "shape": []}
        whole = {**number, "dtype": "integer", "dtype_numpy": "<i8"}
        array = {**number, "dtype": "array", "shape": [nx]}
        arrays = {"sample_x": "um", "sample_y": "um", **dict.fromkeys(self.fields, "counts")}
        return {
            "energy": {**number, "units": "eV"},
            "ring_current": {**number, "units": "mA"},
            "line": whole,
            "line_status": dict(whole),
            **{key: {**array, "units": unit} for key, unit in arrays.items()},
        }

    def complete(self) -> Status:
        """End the image."""
        self._open = self._flying = False
        return settled()

    def pause(self) -> None:
        """Halt.

        Raises
        ------
        bluesky.utils.NoReplayAllowed
            An image is open: it goes on by itself.
        """
        if self._flying and self._waiter is not None and not self._waiter.done:
            self._broken = self._next
        self._flying = False
        self.halted += 1
        if self._open:
            raise NoReplayAllowed

    def resume(self) -> None:
        """Go on with the line that was not finished; the shutter follows again."""
        if self._open:
            self._shutter.set("follow")
            self._flying = True

    def stop(self, *, success: bool = False) -> None:
        """Halt for good."""
        self._open = self._flying = False
        if self._waiter is not None and not self._waiter.done:
            self._waiter.set_finished()

    def read_configuration(self) -> dict[str, Any]:
        """Dead time (s) and saturation (counts/s) of each detector."""
        return _settings(self.fields)

    def describe_configuration(self) -> dict[str, Any]:
        """Their data keys."""
        return _setting_keys(self.fields)


@dataclass(frozen=True)
class _Placement:
    coarse_x: float | None
    coarse_y: float | None
    raster: Raster


def _settings(fields: Iterable[str]) -> dict[str, Any]:
    """Dead time (s) and saturation (counts/s) of counters, as read."""
    given = {"dead_time": 5e-9, "saturation": 4e7}
    return {f"{field}_{key}": reading(v) for field in fields for key, v in given.items()}


def _setting_keys(fields: Iterable[str]) -> dict[str, Any]:
    return {name: {"source": "fake", "dtype": "number", "shape": []} for name in _settings(fields)}


class FakeCounter(FakePoint):
    """A counter of lines that counts points, too: 1000 in each.

    Attributes
    ----------
    field : str
        Data key.
    dwell : FakeSetting
        Of a point (s).
    """

    def __init__(self, field: str) -> None:
        super().__init__(field, lambda: 1000.0)
        self.field, self.dwell = field, FakeSetting(f"{field}_dwell", 0.1)

    def read_configuration(self) -> dict[str, Any]:
        """Dead time (s) and saturation (counts/s)."""
        return _settings([self.field])

    def describe_configuration(self) -> dict[str, Any]:
        """Their data keys."""
        return _setting_keys([self.field])


class FakeFocus(FakeAxis):
    """The zone plate along the beam (µm): in focus at so many µm per eV."""

    def nominal(self, energy: float = ENERGY) -> float:
        """Where it is in focus (µm)."""
        return 400.0 - 9.0 * energy

    def nominal_on_aperture(self, energy: float) -> float:
        """Where the aperture is in focus (µm)."""
        return -9.0 * energy


class FakeMicroscope:
    """A microscope on which `redoxscope.plans.energy_stack` and its kin run in no time.

    Parameters
    ----------
    name : str
    **scanner
        As of `FakeLines`.

    Attributes
    ----------
    energy : FakeAxis
        400 to 1100 eV.
    focus : FakeFocus
        Zone plate (µm).
    sample_stage : namespace of FakeAxis
        ``x`` and ``y``: the coarse stage (µm). It goes to regions that the fine one, `reach`
        to each side of where it stands, does not reach.
    osa, detector_stage : namespace of FakeAxis
        ``x`` and ``y`` (µm).
    line_detectors : list of FakeCounter
    scanner : FakeLines
    shutter : FakeShutter
    """

    parent = None
    reach = 20.0

    def __init__(self, name: str = "stxm", **scanner: Any) -> None:
        self.name = name
        self.energy = FakeAxis("energy", ENERGY, unit="eV", limits=(400.0, 1100.0))
        self.focus = FakeFocus("zone_plate_z", -5000.0, limits=(-20_000.0, -100.0))
        self.monochromator = SimpleNamespace(
            name="mono", edge=FakeSetting("mono_edge"), tolerance=0.01
        )
        self.sample_stage = SimpleNamespace(
            x=FakeAxis("sample_x_coarse"), y=FakeAxis("sample_y_coarse")
        )
        self.shutter = FakeShutter()
        stage = (self.sample_stage.x, self.sample_stage.y)
        self.scanner = FakeLines(self.energy, self.shutter, stage=stage, **scanner)
        self.osa = SimpleNamespace(x=FakeAxis("osa_x"), y=FakeAxis("osa_y"))
        self.detector_stage = SimpleNamespace(x=FakeAxis("detector_x"), y=FakeAxis("detector_y"))
        self.ring = SimpleNamespace(field="ring_current", current=FakeSetting("ring", CURRENT))
        self.line_detectors = [FakeCounter(field) for field in self.scanner.fields]
        self.fixed_parts: list[Any] = []

    def __repr__(self) -> str:
        return self.name

    def stage(self) -> list[object]:
        """Do nothing."""
        return [self]

    def unstage(self) -> list[object]:
        """Halt, and close the shutter."""
        self.scanner.stop()
        self.shutter.set("closed")
        return [self]

    def check_scan(self, scan: Scan) -> None:
        """Refuse energies outside the limits.

        Raises
        ------
        ValueError
        """
        for check in self.checks(scan):
            check()

    def checks(self, scan: Scan) -> Iterator[Callable[[], None]]:
        """What `check_scan` does, check by check."""
        if scan.points:
            yield self.shutter.check_holds
        for energy in scan.all_energies:
            yield partial(self.energy.check_value, energy)

    def place(
        self,
        region: Region,
        dwell: float,
        *,
        retries: int = 1,
        at: tuple[float, float] | None = None,
    ) -> _Placement:
        """The coarse stage goes to the middle of what the fine one does not reach."""
        stage, coarse = self.sample_stage, list[float | None]()
        there = [stage.x.position, stage.y.position] if at is None else list(at)
        for i, (first, last) in enumerate(region.extents):
            far = max(abs(first - there[i]), abs(last - there[i])) > self.reach
            coarse.append((first + last) / 2 if far else None)
            there[i] = coarse[i] if coarse[i] is not None else there[i]
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        x, y = there
        raster = Raster(x0 - x, x1 - x, nx, y0 - y, y1 - y, ny, dwell, retries)
        return _Placement(coarse[0], coarse[1], raster)

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""
