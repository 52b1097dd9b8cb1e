"""The file that a camera's writer writes, read while it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .._base import DeviceError

__all__ = ["DATASET", "NUMBERS", "FrameFile"]

DATASET = "/entry/data/data"
"""Where areaDetector's HDF5 plugin puts the frames, by its own layout."""
NUMBERS = "/entry/instrument/NDAttributes/NDArrayUniqueId"
"""Where it puts the camera's number of each."""
GIVEN_BACK = 8192
"""Most bytes by which a file gets smaller as its writer closes it: HDF5 takes room in advance."""


class FrameFile:
    """Frames of a run as they are on disk.

    Parameters
    ----------
    path : path
        As this machine sees it.
    name : str
        Of the camera, for messages.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of a frame.
    chunk : tuple of int
    dtype : str
        As numpy writes it, with the order of its bytes.

    Raises
    ------
    DeviceError
        There is no such file, or it does not hold what it should.
    """

    def __init__(self, path: Path, name: str):
        self.path, self._name, self._size = path, name, 0
        try:
            self._file = h5py.File(path, "r", libver="latest", swmr=True)
        except OSError as exc:
            raise DeviceError(
                f"{name}: its file {path} cannot be read on this machine: {exc}"
            ) from exc
        try:
            self._data = self._part(DATASET)
            self._numbers = self._part(NUMBERS)
        except DeviceError:
            self.close()
            raise
        shape: Any = self._data.shape
        if len(shape) != 3:
            self.close()
            raise DeviceError(f"{name}: {DATASET} in {path} has the shape {shape}, not (n, y, x)")
        self.shape = (int(shape[1]), int(shape[2]))
        self.chunk = tuple(int(n) for n in self._data.chunks or (1, *self.shape))
        self.dtype = str(self._data.dtype.str)

    def _part(self, where: str) -> h5py.Dataset:
        found = self._file.get(where)
        if not isinstance(found, h5py.Dataset):
            hint = " (its plugin's StoreAttr must be Yes)" if where == NUMBERS else ""
            raise DeviceError(f"{self._name}: {self.path} has no {where}{hint}")
        return found

    @property
    def rows(self) -> int:
        """Frames that can be read: rows that have a number, too.

        Raises
        ------
        DeviceError
            It cannot be read, or was taken away: what is written then is lost when it is closed.
        """
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            raise DeviceError(f"{self._name}: its file {self.path} is not there any more") from None
        if size < self._size - GIVEN_BACK:  # the library would look for what is missing for minutes
            raise DeviceError(
                f"{self._name}: its file {self.path} was cut off: {size} bytes, and it had "
                f"{self._size}"
            )
        self._size = size
        try:
            self._data.refresh()
            self._numbers.refresh()
        except (OSError, RuntimeError) as exc:
            raise DeviceError(f"{self._name}: {self.path} cannot be read: {exc}") from exc
        return int(min(self._data.shape[0], self._numbers.shape[0]))

    def numbers(self, start: int) -> NDArray[np.int64]:
        """The camera's number of the frame in each row from ``start`` on."""
        stop = self.rows
        try:
            found = self._numbers[start:stop]
        except (OSError, RuntimeError) as exc:
            raise DeviceError(f"{self._name}: {self.path} cannot be read: {exc}") from exc
        return np.asarray(found, dtype=np.int64).reshape(-1)

    def close(self) -> None:
        """Let it go."""
        self._file.close()
