"""A ptychography station with the real one's logic, and no controller behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd.status import Status

from ..devices.ptycho import FrameNumbers, FrameSettings, TakesBlocks, placed_part
from ..documents import FrameStatus
from ..optics import ZonePlateGeometry
from ..scan import Block, Exposures, Scan
from ._fake_camera import FakeCamera, FakePath
from ._fake_parts import FakeAxis, FakePoint, FakeShutter, number_key, reading
from ._fake_spectrometer import FakeMono

__all__ = ["FakePtycho"]

GEOMETRY = ZonePlateGeometry(240.0, 45.0, 95.0, 50.0, 400.0)
NUMBERS = FrameNumbers(
    distance=80_000.0, pixel=120.0, defocus=4.0, saturation=60_000.0, read_noise=3.0, gain=10.0
)

Picture = Callable[[float, float, float, float, bool], NDArray[Any]]


class FakePtycho(TakesBlocks, FrameSettings):
    """A station on which `redoxscope.plans.ptychography` runs in no time.

    Blocks are prepared, taken and judged by the real station's code; its file of frames is read as
    a real camera's. Only camera, path and what stands around them are calculated.

    Parameters
    ----------
    folder : path, optional
        Where files of frames go; by default one that lasts as long as it does.
    name : str
    picture : callable, optional
        ``picture(energy, x, y, time, beam)`` gives a frame: energy (eV), sample coordinates (µm),
        exposure (s), whether there is light. By default flat, 1000 counts/s and 10 in the dark.
    shape : tuple of int
        Rows and columns of a frame.
    mono : FakeMono, optional
    numbers : FrameNumbers, optional
        What it says of its frames; by default those of the simulated camera.
    prompt : bool
        Paths are over at once, or when ``path.finish()`` is called; ``path.flying`` is an event
        that is set while one is under way.

    Attributes
    ----------
    camera : FakeCamera
        ``camera.faults`` says what goes wrong with the next blocks.
    path : FakePath
    taken_blocks : list of (Block, bool)
        Every block that was flown to its end, and whether there was beam.
    conditions : object
        ``conditions.doubts`` says what does not hold in the next blocks: a list of mappings from
        `redoxscope.documents.FrameStatus` to words.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        name: str = "ptycho",
        *,
        picture: Picture | None = None,
        shape: tuple[int, int] = (16, 16),
        mono: FakeMono | None = None,
        numbers: FrameNumbers = NUMBERS,
        prompt: bool = True,
    ) -> None:
        super().__init__("", name=name)
        self.monochromator = self.energy = FakeMono() if mono is None else mono
        self.sample_stage = SimpleNamespace(
            x=FakeAxis("sample_x", limits=(-5000.0, 5000.0)),
            y=FakeAxis("sample_y", limits=(-5000.0, 5000.0)),
            fine_x=FakeAxis("sample_fine_x", limits=(-50.0, 50.0)),
            fine_y=FakeAxis("sample_fine_y", limits=(-50.0, 50.0)),
        )
        self.zone_plate = SimpleNamespace(geometry=GEOMETRY)
        self.shutter = FakeShutter()
        self.i0 = None
        self.ring = _Ring()
        self.taken_blocks: list[tuple[Block, bool]] = []
        self.camera = FakeCamera(folder, f"{name}_camera", shape)
        self.path = FakePath(self.camera, self._origin, self._picture, prompt=prompt)
        self.conditions = _Conditions(self)
        self._drawn = picture or self._flat
        self.set_numbers(numbers)

    def _origin(self) -> tuple[float, float]:
        return float(self.sample_stage.x.position), float(self.sample_stage.y.position)

    def _picture(self, x: float, y: float, seconds: float) -> NDArray[Any]:
        return self._drawn(float(self.energy.position), x, y, seconds, self.shutter.beam)

    def _flat(self, energy: float, x: float, y: float, seconds: float, beam: bool) -> NDArray[Any]:
        return np.full(self.camera.shape, 10 + (1000 * seconds if beam else 0), dtype=np.uint16)

    @property
    def parts(self) -> list[Any]:
        """What is read into an event besides it."""
        return [self.energy, self.ring]

    def check_scan(self, scan: Scan) -> None:
        """Refuse what its parts cannot do.

        Raises
        ------
        ValueError
        """
        for check in self.checks(scan):
            check()

    def checks(self, scan: Scan) -> Iterator[Callable[[], Any]]:
        """The same, check by check.

        Raises
        ------
        ValueError
            It is no scan of exposures.
        """
        if scan.kind != "exposures":
            raise ValueError(f"{self.name}: a scan of {scan.kind} is none of exposures")
        yield partial(self.info, scan.all_energies)
        for part in scan.exposures:
            yield partial(self.path.check_path, 1, part.times)
            yield partial(self.place, part)
        for energy in scan.all_energies:
            yield partial(self.energy.check_value, energy)

    def place(
        self, part: Exposures, *, at: tuple[float, float] | None = None
    ) -> tuple[float | None, float | None]:
        """Where the coarse stage goes for a part (x, y; µm); None: it stays."""
        return placed_part(self.sample_stage, part, at)

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""

    def stage(self) -> Status:
        """Open a file."""
        super().stage()
        self.taken = None
        status: Status = self.camera.stage()
        return status

    def unstage(self) -> Status:
        """Close it."""
        self.pause()
        self._give_back()
        super().unstage()
        status: Status = self.camera.unstage()
        return status

    def read(self) -> dict[str, Any]:
        """The block that was taken last."""
        values = {**self.block_values(), "zone_plate_z": -2800.0}
        return {key: reading(value) for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        """Its data keys."""
        return {**self.block_keys(), "zone_plate_z": number_key("um")}

    def read_configuration(self) -> dict[str, Any]:
        """Its numbers, and where the file is."""
        return {**super().read_configuration(), **self.camera.read_configuration()}

    def describe_configuration(self) -> dict[str, Any]:
        """Data keys of the same."""
        return {**super().describe_configuration(), **self.camera.describe_configuration()}


class _Ring(FakePoint):
    """Stored current, always the same."""

    def __init__(self) -> None:
        super().__init__("ring_current")

    def read(self) -> dict[str, Any]:
        return {self.name: reading(500.0)}

    def describe(self) -> dict[str, Any]:
        return {self.name: number_key("mA")}


class _Conditions:
    """What was asked holds, but for what ``doubts`` says of the next blocks."""

    def __init__(self, station: FakePtycho) -> None:
        self.doubts: list[Mapping[FrameStatus, list[str]]] = []
        self._station = station
        self._block: Block | None = None

    def begin_run(self) -> None:
        """Nothing to forget."""

    def release(self) -> None:
        """Nothing has to hold."""

    def hold(self, block: Block) -> tuple[float, float]:
        self._block = block
        return self._station._origin()  # noqa: SLF001

    def judged(self) -> Mapping[FrameStatus, list[str]]:
        if self._block is not None:
            self._station.taken_blocks.append((self._block, self._station.shutter.beam))
        return self.doubts.pop(0) if self.doubts else {}
