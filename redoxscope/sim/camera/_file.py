"""The file that the camera's plugin writes, as areaDetector's NDFileHDF5 lays it out."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameFile"]

DATA = "/entry/instrument/detector/data"
LINK = "/entry/data/data"
ATTRIBUTES = "/entry/instrument/NDAttributes"

_ROWS_OF_A_CHUNK = 256
"""Of the small data sets, so that a long scan does not make a chunk of each number."""


class FrameFile:
    """Frames, their numbers and times; may be read while it grows.

    Parameters
    ----------
    path : str
        A file that is there already is replaced.
    shape : (int, int)
        Rows and columns of a frame.
    swmr : bool
        Whether others may read it meanwhile.
    flush_every : int
        Frames after which readers see what was written; 0: they wait for the end.

    Raises
    ------
    OSError
        It cannot be written.
    """

    def __init__(self, path: str, shape: tuple[int, int], *, swmr: bool, flush_every: int):
        self.path, self._flush_every, self._shape = Path(path), flush_every, tuple(shape)
        self.rows = 0
        self._unseen = 0
        self._file = h5py.File(path, "w", libver="latest")
        try:
            make = self._file.create_dataset
            self._data = make(DATA, (0, *shape), "<u2", maxshape=(None, *shape), chunks=(1, *shape))
            few = {"maxshape": (None,), "chunks": (_ROWS_OF_A_CHUNK,)}
            self._ids = make(f"{ATTRIBUTES}/NDArrayUniqueId", (0,), "<i4", **few)
            self._times = make(f"{ATTRIBUTES}/NDArrayTimeStamp", (0,), "<f8", **few)
            self._file[LINK] = self._data
            for group, kind in (
                ("/entry", "NXentry"),
                ("/entry/instrument", "NXinstrument"),
                ("/entry/instrument/detector", "NXdetector"),
                ("/entry/instrument/NDAttributes", "NXcollection"),
                ("/entry/data", "NXdata"),
            ):
                self._file[group].attrs["NX_class"] = kind
            self._file["/entry/data"].attrs["signal"] = "data"
            self._file.flush()
            if swmr:
                self._file.swmr_mode = True
        except BaseException:
            self._file.close()
            raise

    def add(
        self, frame: NDArray[np.uint16] | None, number: int, time_s: float, *, torn: bool = False
    ) -> None:
        """Append a frame.

        Parameters
        ----------
        frame : ndarray [ny, nx] or None
            None: the row is there and holds zeros.
        number : int
            Of the frame, by the camera's count.
        time_s : float
            s since 1970.
        torn : bool
            Only half of it gets there, and its number does not.

        Raises
        ------
        OSError
            It cannot be written, or is larger or smaller than those of the file.
        """
        if frame is not None and frame.shape != self._shape:
            raise OSError(f"a frame of {frame.shape} does not go into a file of {self._shape}")
        row = self.rows
        for data in (self._data, self._ids, self._times):
            data.resize(row + 1, axis=0)
        if torn and frame is not None:
            half = frame.shape[0] // 2
            self._data[row, :half] = frame[:half]
        elif frame is not None:
            self._data.id.write_direct_chunk((row, 0, 0), np.ascontiguousarray(frame, "<u2"))
        self._ids[row] = 0 if torn else number
        self._times[row] = time_s
        self.rows += 1
        self._unseen += 1
        if self._flush_every and self._unseen >= self._flush_every:
            self.flush()

    def flush(self) -> None:
        """Let readers see all of it; the frames before their numbers.

        Raises
        ------
        OSError
        """
        for data in (self._data, self._times, self._ids):
            data.flush()
        self._unseen = 0

    def close(self) -> None:
        """Close it.

        Raises
        ------
        OSError
            The rest cannot be written.
        """
        self._file.close()
