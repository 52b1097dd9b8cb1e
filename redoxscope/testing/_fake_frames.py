"""A frames detector that writes an HDF5 file and announces its rows, with no camera behind it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from ophyd.status import Status

from ..formats import file_uri
from ..scan import Exposures
from ._fake_parts import FakeSetting, reading

__all__ = ["FakeFrames"]

DATASET = "/entry/data/data"


class FakeFrames:
    """Frames detector whose exposures end at once, or when ``finish`` is called.

    Each run has a file of its own in the folder, opened by ``stage``.

    Parameters
    ----------
    folder : path
        Where the files go.
    name : str
    shape : tuple of int
        Rows and columns of a frame.
    picture : callable, optional
        ``picture(n)`` gives frame n, an array of that shape; by default all n.
    longest : float
        Longest exposure (s).
    prompt : bool
        Exposures end at once.

    Attributes
    ----------
    frames : int
        In the file of this run.
    images : FrameRows
        What is declared and collected.
    """

    parent = None

    def __init__(
        self,
        folder: str | Path,
        name: str = "camera",
        *,
        shape: tuple[int, int] = (4, 5),
        picture: Callable[[int], NDArray[Any]] | None = None,
        longest: float = 10.0,
        prompt: bool = True,
    ) -> None:
        self.name, self.shape, self.longest, self.prompt = name, shape, longest, prompt
        self.dwell = FakeSetting(f"{name}_dwell", 0.1)
        self.images = FrameRows(self)
        self.triggered = 0
        self._folder = Path(folder)
        self._picture = picture or (lambda n: np.full(shape, n))
        self._file: h5py.File | None = None
        self._open: Status | None = None
        self._fail: Exception | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def frames(self) -> int:
        return self.images.count

    def check_exposures(self, exposures: Sequence[Exposures]) -> None:
        """Refuse an exposure that is too long.

        Raises
        ------
        ValueError
        """
        for part in exposures:
            asked = max(part.times)
            if asked > self.longest:
                raise ValueError(
                    f"{self.name}_dwell = {asked:g} s is above its longest, {self.longest:g} s"
                )

    def stage(self) -> list[object]:
        """Open a file."""
        path = self._folder / f"{self.name}-{uuid.uuid4().hex[:12]}.h5"
        self._file = h5py.File(path, "w", libver="latest")
        rows, columns = self.shape
        self._file.create_dataset(
            DATASET,
            shape=(0, rows, columns),
            maxshape=(None, rows, columns),
            chunks=(1, rows, columns),
            dtype="<u2",
        )
        self._file.swmr_mode = True
        self.images.begin(path, self.shape)
        return [self]

    def unstage(self) -> list[object]:
        """Close the file."""
        self.stop()
        if self._file is not None:
            self._file.close()
            self._file = None
        return [self]

    def trigger(self) -> Status:
        """Take a frame.

        Raises
        ------
        RuntimeError
            It was not staged.
        """
        if self._file is None:
            raise RuntimeError(f"{self.name}: trigger before stage")
        self.triggered += 1
        self._open = Status()
        status = self._open
        if self._fail is not None:
            error, self._fail = self._fail, None
            status.set_exception(error)
        elif self.prompt:
            self.finish()
        return status

    def finish(self) -> None:
        """End the exposure that is open, with a frame."""
        if self._open is not None and not self._open.done and self._file is not None:
            data, n = self._file[DATASET], self.images.count
            data.resize(n + 1, axis=0)
            data[n] = self._picture(n)
            data.flush()
            self.images.count = n + 1
            self._open.set_finished()

    def fail_next(self, error: Exception) -> None:
        """Have the next exposure fail."""
        self._fail = error

    def stop(self, *, success: bool = False) -> None:
        """Break the exposure off: its status ends well, and there is no frame."""
        if self._open is not None and not self._open.done:
            self._open.set_finished()

    def pause(self) -> None:
        """As `stop`; the plan asks again."""
        self.stop(success=True)

    def resume(self) -> None:
        """Do nothing: the plan asks again."""

    def read(self) -> dict[str, Any]:
        """Row of the last frame."""
        return {f"{self.name}_frame": reading(self.frames - 1)}

    def describe(self) -> dict[str, Any]:
        """Data key of the row."""
        key = {"dtype": "integer", "dtype_numpy": "<i8", "shape": [], "source": "fake"}
        return {f"{self.name}_frame": key}

    def read_configuration(self) -> dict[str, Any]:
        """Time of an exposure (s)."""
        return {self.dwell.name: reading(float(self.dwell.get()))}

    def describe_configuration(self) -> dict[str, Any]:
        """Data key of the time of an exposure."""
        key = {"dtype": "number", "shape": [], "source": "fake", "units": "s"}
        return {self.dwell.name: key}


class FrameRows:
    """Rows of a file as a stream: one resource per run, and a datum for the rows that came.

    Attributes
    ----------
    count : int
        Rows that are in the file.
    """

    parent = None

    def __init__(self, detector: FakeFrames) -> None:
        self.name = f"{detector.name}_images"
        self.count = 0
        self._path, self._shape = Path("unopened"), (0, 0)
        self._resource, self._announced = "", 0

    def __repr__(self) -> str:
        return self.name

    def begin(self, path: Path, shape: tuple[int, int]) -> None:
        """The next rows are in this file."""
        self._path, self._shape = path, shape
        self.count = self._announced = 0
        self._resource = ""

    def describe_collect(self) -> dict[str, Any]:
        """One external key, a row per frame."""
        return {
            self.name: {
                "source": file_uri(self._path),
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": list(self._shape),
                "external": "STREAM:",
            }
        }

    def get_index(self) -> int:
        """Rows that are in the file."""
        return self.count

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Documents for the rows that came since the last call, which are on disk then."""
        stop = self.count if index is None else min(index, self.count)
        if stop <= self._announced:
            return
        if not self._resource:
            self._resource = str(uuid.uuid4())
            yield (
                "stream_resource",
                {
                    "uid": self._resource,
                    "data_key": self.name,
                    "mimetype": "application/x-hdf5",
                    "uri": file_uri(self._path),
                    "parameters": {
                        "dataset": DATASET,
                        "chunk_shape": [1, *self._shape],
                        "swmr": True,
                    },
                },
            )
        start, self._announced = self._announced, stop
        yield (
            "stream_datum",
            {
                "uid": f"{self._resource}/{start}",
                "stream_resource": self._resource,
                "descriptor": "",  # the RunEngine fills this in, and seq_nums
                "indices": {"start": start, "stop": stop},
                "seq_nums": {"start": 0, "stop": 0},
            },
        )
