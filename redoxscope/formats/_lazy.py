"""A file that is made when the first byte is due, as Dastard makes its files."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

__all__ = ["LazyFile", "LazyWriter"]

_BUFFER = 1 << 16


class LazyFile:
    """Append to a file that comes into being with the first write.

    Errors of an open file do not say which file: here they do.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    what : str
        What it is, for messages.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = Path(path)
        self._what = what
        self._file: BinaryIO | None = None
        self._closed = False

    @property
    def made(self) -> bool:
        """Whether there has been a write."""
        return self._file is not None

    def write(self, data: bytes) -> None:
        """Append bytes."""
        if self._closed:
            raise ValueError(f"{self._what} {self.path} is closed")
        try:
            if self._file is None:
                self._file = self.path.open("wb", buffering=_BUFFER)
            self._file.write(data)
        except OSError as exc:
            raise self._error(exc, "written") from exc

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._file is not None and not self._closed:
            try:
                self._file.flush()
            except OSError as exc:
                raise self._error(exc, "written") from exc

    def close(self) -> None:
        """Flush and close; closed it is even where the flush fails."""
        if self._file is not None and not self._closed:
            self._closed = True
            try:
                self._file.close()
            except OSError as exc:
                raise self._error(exc, "completed") from exc
        self._closed = True

    def _error(self, exc: OSError, done: str) -> OSError:
        number = exc.errno or errno.EIO
        return OSError(
            number, f"{self._what} cannot be {done}: {os.strerror(number)}", str(self.path)
        )


class LazyWriter:
    """What the writers have in common.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced when the first entry comes, and without an entry
        there is no file.
    what : str
        What it is, for messages.
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        self.path = Path(path)
        self.count = 0
        self._out = LazyFile(path, what)

    def flush(self) -> None:
        """Hand what was written to the operating system.

        Raises
        ------
        OSError
            The file cannot be written; names it.
        """
        self._out.flush()

    def close(self) -> None:
        """Flush and close.

        Raises
        ------
        OSError
            The rest cannot be written; names the file, which is closed nevertheless.
        """
        self._out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
