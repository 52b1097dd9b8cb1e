"""A camera and a path with no controller behind them; the file of the frames is a real one."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from ophyd.status import Status

from ..devices.camera import DATASET, NUMBERS, CountedFrames, FrameFile, FrameRows, paired
from ..devices.path import FlownPath
from ..scan import Exposures
from ._fake_parts import reading, settled

__all__ = ["FAULTS", "FakeCamera", "FakePath"]

FAULTS = ("drop", "miss", "extra", "torn", "unwritten")
"""What can be wrong with a block: a frame that the writer lost, a gate that the camera did not see,
a frame too many, one half written, one that was counted and not written."""

Picture = Callable[[float, float, float], NDArray[Any]]


class FakeCamera:
    """Camera whose frames are there as soon as they are gated; writes the file of areaDetector.

    Parameters
    ----------
    folder : path, optional
        Where its files go; by default one that lasts as long as it does.
    name : str
    shape : tuple of int
        Rows and columns of a frame.

    Attributes
    ----------
    faults : list of (str or None)
        What goes wrong with the next blocks, one after the other, each one of `FAULTS` or None;
        after the last, nothing.
    armed : bool
    path : Path or None
        Its file.
    """

    parent = None

    def __init__(
        self,
        folder: str | Path | None = None,
        name: str = "camera",
        shape: tuple[int, int] = (16, 16),
    ) -> None:
        self.name, self.shape = name, shape
        self.images = FrameRows(f"{name}_image")
        self.faults: list[str | None] = []
        self.armed = False
        self.path: Path | None = None
        if folder is None:
            self._own = tempfile.TemporaryDirectory(prefix="camera-")
            folder = self._own.name
        self._folder = Path(folder)
        self._file: h5py.File | None = None
        self._counter, self._asked = 0, (0, 0, 0)
        self._writing = threading.Lock()  # a path that a pause broke off ends before the next

    def __repr__(self) -> str:
        return self.name

    @property
    def frames(self) -> int:
        """In the file of this run."""
        return self.images.get_index()

    def check_exposures(self, exposures: Sequence[Exposures]) -> None:
        """It can take everything."""

    def signals(self) -> list[Any]:
        """None."""
        return []

    def stage(self) -> Status:
        """Open a file."""
        self.path = self._folder / f"{self.name}-{uuid.uuid4().hex[:12]}.h5"
        self._file = h5py.File(self.path, "w", libver="latest")
        ny, nx = self.shape
        self._file.create_dataset(
            DATASET, (0, ny, nx), "<u2", maxshape=(None, ny, nx), chunks=(1, ny, nx)
        )
        self._file.create_dataset(NUMBERS, (0,), "<i4", maxshape=(None,), chunks=(256,))
        self._file.swmr_mode = True
        self.images.begin(FrameFile(self.path, self.name))
        return settled()

    def unstage(self) -> Status:
        """Close it."""
        self.armed = False
        if self._file is not None:
            self.images.file.close()
            self.images.begin(None)
            self._file.close()
            self._file = None
        return settled()

    def arm(self, n: int, gate: str = "external") -> Status:
        """Wait for gates."""
        with self._writing:
            self.armed = True
            self._asked = (n, self._counter, self.frames)
        return settled()

    def gated(self, frames: Sequence[Callable[[], NDArray[Any]]]) -> None:
        """Take frames, with what goes wrong with them; none where it is not armed."""
        with self._writing:
            self._take(frames)

    def _take(self, frames: Sequence[Callable[[], NDArray[Any]]]) -> None:
        if not self.armed:
            return
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"{fault!r} is none of {', '.join(FAULTS)}")
        at = len(frames) // 2
        for k, frame in enumerate(frames):
            if not self.armed:
                return
            if k == at and fault == "miss":
                continue
            self._counter += 1
            picture = np.asarray(frame(), dtype=np.uint16)
            if k == at and fault == "torn":
                half = picture.copy()
                half[self.shape[0] // 2 :] = 0
                self._write(half, 0)
            elif k != at or fault not in ("drop", "unwritten"):
                self._write(picture, self._counter)
            if k == at and fault == "extra":
                self._counter += 1
                self._write(picture, self._counter)

    def _write(self, picture: NDArray[np.uint16], number: int) -> None:
        if self._file is None:
            raise RuntimeError(f"{self.name}: no file is open")
        for where, value in ((DATASET, picture), (NUMBERS, number)):
            data = self._file[where]
            n = data.shape[0]
            data.resize(n + 1, axis=0)
            data[n] = value
            data.flush()

    def count(
        self, over: Callable[[], bool] = lambda: False, patience: float = 0.0
    ) -> CountedFrames:
        """Pair the frames, as a real camera does."""
        self.armed = False
        n, last, first = self._asked
        numbers = self.images.file.numbers(first)
        return paired(self.name, n, last, self._counter - last, numbers, first)

    def stop(self, *, success: bool = False) -> None:
        """Disarm it."""
        self.armed = False

    def pause(self) -> None:
        """Disarm it."""
        self.armed = False

    def resume(self) -> None:
        """Do nothing: the plan asks again."""

    def read_configuration(self) -> dict[str, Any]:
        """Where its file is."""
        return {f"{self.name}_file": reading(str(self.path or ""))}

    def describe_configuration(self) -> dict[str, Any]:
        """Its data key."""
        return {f"{self.name}_file": {"dtype": "string", "shape": [], "source": "fake"}}


class FakePath:
    """Path that is over at once, or when ``finish`` is called.

    Parameters
    ----------
    camera : FakeCamera
        What it gates.
    origin : callable
        ``origin()`` gives where the coarse stage stands (x, y; µm).
    picture : callable
        ``picture(x, y, time)`` gives a frame: sample coordinates (µm), exposure (s).
    name : str
    prompt : bool

    Attributes
    ----------
    flying : threading.Event
        Set while a path is under way.
    flown_paths : int
        Paths that went to their ends.
    error : Exception or None
        What the next path fails with.
    """

    parent = None
    most_frames = 10_000
    min_time = 1e-3

    def __init__(
        self,
        camera: FakeCamera,
        origin: Callable[[], tuple[float, float]],
        picture: Picture,
        name: str = "path",
        *,
        prompt: bool = True,
    ) -> None:
        self.name, self.prompt = name, prompt
        self.flying = threading.Event()
        self.flown: FlownPath | None = None
        self.flown_paths = 0
        self.error: Exception | None = None
        self._camera, self._origin, self._picture = camera, origin, picture
        self._loaded: tuple[Any, Any, tuple[float, ...]] | None = None
        self._move: Status | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return self.name

    def signals(self) -> list[Any]:
        """None."""
        return []

    def check_free(self) -> None:
        """Nobody else is there."""

    def check_path(self, places: int, times: Sequence[float]) -> None:
        """Refuse what is too long, or too quick.

        Raises
        ------
        ValueError
        """
        frames = places * len(times)
        if not 1 <= frames <= self.most_frames:
            raise ValueError(f"{self.name}: a path of {frames} frames; it takes {self.most_frames}")
        if min(times) < self.min_time:
            raise ValueError(
                f"{self.name}: an exposure of {min(times):g} s is shorter than {self.min_time:g} s"
            )

    def time_to(self, places: int, times: Sequence[float], settle: float) -> float:
        """Time (s) that it would take."""
        return places * (settle + sum(times))

    def load(self, x: Any, y: Any, times: Sequence[float], settle: float) -> Status:
        """Take a path (fine coordinates, µm)."""
        self._loaded = np.array(x, float), np.array(y, float), tuple(times)
        return settled()

    def fly(self, frames: int, seconds: float) -> Status:
        """Begin it."""
        with self._lock:
            self.flown = None
            self._move = move = Status()
        if self.error is not None:
            error, self.error = self.error, None
            move.set_exception(error)
            return move
        self.flying.set()
        if self.prompt:
            self.finish()
        return move

    def finish(self) -> None:
        """End the path that is under way: each place was visited, each frame gated."""
        with self._lock:
            move, self._move = self._move, None
        if move is None or move.done or self._loaded is None:
            return
        x0, y0 = self._origin()
        xs, ys, times = self._loaded
        frames, x, y = [], np.repeat(xs + x0, len(times)), np.repeat(ys + y0, len(times))
        gate = np.tile(times, len(xs))
        for here, there, seconds in zip(x.tolist(), y.tolist(), gate.tolist(), strict=True):
            frames.append(lambda a=here, b=there, t=seconds: self._picture(a, b, t))
        self._camera.gated(frames)
        self.flown = FlownPath(x, y, gate)
        self.flown_paths += 1
        self.flying.clear()
        move.set_finished()

    def stop(self, *, success: bool = False) -> None:
        """Break it off."""
        with self._lock:
            move, self._move = self._move, None
        self.flying.clear()
        if move is not None and not move.done:
            move.set_finished()

    def pause(self) -> None:
        """Break it off."""
        self.stop(success=True)

    def resume(self) -> None:
        """Do nothing: the plan asks again."""
