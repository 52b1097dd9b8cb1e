"""HDF5 files, opened for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ._errors import FormatError

if TYPE_CHECKING:
    import h5py

__all__ = ["opened"]


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """A file that is there, whole, and HDF5; closed afterwards."""
    import h5py

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        file = h5py.File(path, "r")
    except OSError as exc:
        raise FormatError(f"{path} is no HDF5 file, or is cut off: {exc}") from exc
    with file:
        yield file
