"""The file of a run's document log, while it is being written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from pathlib import Path

import platformdirs

__all__ = ["DocumentLogError", "RunFile"]


class DocumentLogError(RuntimeError):
    """The log could not be written; the message names the file and the reason."""


class RunFile:
    """One open log: whole lines or nothing, and the lock that says the run is alive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = 0
        try:
            self._fd = _create_locked(path)
        except OSError as exc:
            raise self._error(exc) from exc

    def is_there(self) -> bool:
        """Whether the path still leads to the file."""
        try:
            found, mine = os.stat(self.path), os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def rescue(self) -> DocumentLogError:
        """Go on in another folder, with all that was written; the error to raise then.

        An open file can be read after it was deleted, as long as its disk is there.
        """
        old, problems = self.path, []
        gone = f"document log {old} was deleted or moved during the run, or its disk is gone"
        for folder in _refuges():
            path = folder / old.name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                fd = _create_locked(path)
                _copy(self._fd, fd, self._size)
            except OSError as exc:
                problems.append(f"{path}: {exc.strerror}")
                continue
            os.close(self._fd)
            self.path, self._fd = path, fd
            return DocumentLogError(
                f"{gone}: the run ends here. All its documents are in {path}. Put that file into "
                f"the folder {old.parent}, then: redoxscope recover"
            )
        return DocumentLogError(f"{gone}, and cannot be rescued ({'; '.join(problems)})")

    def write(self, line: bytes) -> None:
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as exc:
            # Half a line in the middle would spoil the file for the stop document to come.
            with contextlib.suppress(OSError):  # the write's own reason is the one to report
                os.ftruncate(self._fd, self._size)
            raise self._error(exc) from exc
        self._size += len(line)

    def sync(self) -> None:
        try:
            os.fsync(self._fd)
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as exc:
            raise self._error(exc) from exc

    def close(self) -> None:
        os.close(self._fd)

    def _error(self, exc: OSError) -> DocumentLogError:
        return DocumentLogError(f"document log {self.path} cannot be written: {exc.strerror}")


def _create_locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _refuges() -> list[Path]:
    """Folders for the log of a run whose own is gone."""
    return [
        Path(platformdirs.user_state_dir("redoxscope")) / "rescued",
        Path(tempfile.gettempdir()) / "redoxscope-rescued",
    ]


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        block = os.pread(source, min(1 << 20, size - done), done)
        if not block:
            raise OSError(errno.EIO, "the deleted file is shorter than what was written")
        done += os.write(target, block)
