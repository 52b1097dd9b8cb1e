"""Frames of a camera out of its file, while it is being written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...formats import path_of_uri
from .._documents import Doc

if TYPE_CHECKING:
    import h5py

__all__ = ["FrameFile", "UnreadableFramesError"]


class UnreadableFramesError(RuntimeError):
    """The file of frames is not there, or cannot be read now; names it and says why."""


class FrameFile:
    """The rows of a data set of frames; the file may grow meanwhile (SWMR).

    Parameters
    ----------
    resource : dict
        The ``stream_resource`` that announces it.
    shape : (int, int)
        Rows and columns of a frame, as the start document has them.

    Raises
    ------
    ValueError
        The document names no local HDF5 file.
    """

    def __init__(self, resource: Doc, shape: tuple[int, int]) -> None:
        kind = resource.get("mimetype")
        if kind != "application/x-hdf5":
            raise ValueError(f"frames are announced as {kind!r:.60}, not as application/x-hdf5")
        self.path = Path(path_of_uri(str(resource["uri"])))
        parameters: Any = resource.get("parameters") or {}
        self.dataset = str(parameters.get("dataset") or parameters.get("path") or "")
        if not self.dataset:
            raise ValueError(f"the document of {self.path} does not say which data set has frames")
        self._shape = shape
        self._file: h5py.File | None = None

    def read(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Frames of some rows.

        Parameters
        ----------
        rows : numpy.ndarray of int [n]
            -1 where there is none.

        Returns
        -------
        frames : numpy.ndarray [n, ny, nx]
            0 where there is none.
        there : numpy.ndarray of bool [n]
            Whether the file has the row, and something in it that can be read.

        Raises
        ------
        UnreadableFramesError
            The file is not there, damaged, or held by its writer; or its frames have another shape.
        """
        try:
            data = self._data()
            there = (rows >= 0) & (rows < data.shape[0])
            frames = np.zeros((len(rows), *self._shape), data.dtype)
            if there.any():
                wanted = np.unique(rows[there])
                low, high = int(wanted[0]), int(wanted[-1]) + 1
                # One slice, where few lie between: picking rows one by one is slow.
                dense = high - low <= 2 * len(wanted)
                try:
                    read = data[low:high] if dense else data[wanted]
                except (OSError, RuntimeError):  # a damaged row must cost itself only
                    read, dense = self._one_by_one(data, wanted), False
                at = rows[there] - low if dense else np.searchsorted(wanted, rows[there])
                frames[there] = read[at]
                # Where a file was cut off, what is read while it may grow is zero.
                there &= frames.any(axis=(1, 2))
        except (OSError, KeyError, RuntimeError) as exc:
            self.close()
            raise UnreadableFramesError(f"{self.path}: {_first_line(exc)}") from exc
        return frames, there

    def _one_by_one(self, data: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Rows, 0 where one cannot be read.

        Raises
        ------
        OSError, RuntimeError
            None of them can.
        """
        read = np.zeros((len(rows), *self._shape), data.dtype)
        failed = 0
        for k, row in enumerate(rows):
            try:
                read[k] = data[row]
            except (OSError, RuntimeError):
                failed += 1
                if failed == len(rows):
                    raise
        return read

    def _data(self) -> Any:
        import h5py

        if self._file is None:
            try:
                self._file = h5py.File(self.path, "r", swmr=True)
            except OSError:  # one that was never meant to be read while it grows
                self._file = h5py.File(self.path, "r")
        data = self._file[self.dataset]
        data.refresh()
        if data.shape[1:] != self._shape:
            shape = " x ".join(map(str, data.shape[1:]))
            self.close()
            raise UnreadableFramesError(
                f"{self.path}: its frames have {shape} pixels, but the run says "
                f"{self._shape[0]} x {self._shape[1]}"
            )
        return data

    def close(self) -> None:
        """Let go of the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _first_line(error: BaseException) -> str:
    return str(error).strip("'\"").partition("\n")[0] or type(error).__name__
