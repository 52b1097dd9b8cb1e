"""The frames of a run as a stream: rows of a file, announced by documents."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from ...formats import file_uri
from .._base import DeviceError
from ._rows import DATASET, FrameFile

__all__ = ["FrameRows"]


class FrameRows:
    """Rows of a camera's file; what `redoxscope.plans` calls a frame stream.

    Parameters
    ----------
    name : str
        Data key of the frames.
    """

    parent = None

    def __init__(self, name: str):
        self.name = name
        self._file: FrameFile | None = None
        self._resource, self._announced = "", 0

    def __repr__(self) -> str:
        return f"FrameRows({self.name!r})"

    def begin(self, file: FrameFile | None) -> None:
        """The next rows are in this file."""
        self._file = file
        self._resource, self._announced = "", 0

    def end(self) -> None:
        """Let the file go."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def is_open(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    @property
    def file(self) -> FrameFile:
        """The file of this run.

        Raises
        ------
        DeviceError
            None is open.
        """
        if self._file is None:
            raise DeviceError(f"{self.name}: no file is open; the camera is not staged")
        return self._file

    def describe_collect(self) -> dict[str, Any]:
        """One external key, a row per frame."""
        file = self.file
        key = {
            "source": file_uri(file.path),
            "dtype": "array",
            "dtype_numpy": file.dtype,
            "shape": list(file.shape),
            "external": "STREAM:",
        }
        return {self.name: key}

    def get_index(self) -> int:
        """Rows that are in the file; 0 where none is open."""
        return 0 if self._file is None else self._file.rows

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Documents for the rows that came since the last call, which are on disk then."""
        file = self.file
        stop = file.rows if index is None else min(index, file.rows)
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
                    "uri": file_uri(file.path),
                    "parameters": {
                        "dataset": DATASET,
                        "chunk_shape": list(file.chunk),
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
