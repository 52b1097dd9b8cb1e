"""Disk space set aside before HDF5 needs it.

HDF5 cannot be closed once a write has failed: the process ends with a segmentation fault then,
or when it exits. So the space that a file may come to need is allocated first, where a failure
is an error like any other.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

__all__ = ["reserve", "reserve_new"]

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def reserve(fd: int, size: int) -> None:
    """Make sure that a file can grow to a size without running out of space.

    The file may be longer afterwards; HDF5 cuts off what it does not need when it flushes.

    Parameters
    ----------
    fd : int
        Descriptor of the file, open for writing.
    size : int
        Bytes.

    Raises
    ------
    OSError
        There is no space, or a quota or limit forbids it.
    """
    status = os.fstat(fd)
    if status.st_size >= size and status.st_blocks * 512 >= size:
        return
    allocate = getattr(os, "posix_fallocate", None)  # not on macOS
    if allocate is not None:
        try:
            allocate(fd, 0, size)
        except OSError as exc:
            if exc.errno not in _UNSUPPORTED:
                raise
        else:
            return
    free = os.fstatvfs(fd)
    if free.f_bavail * free.f_frsize < size - status.st_blocks * 512:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def reserve_new(path: Path, size: int) -> None:
    """Make an empty file where there is space for it; none where there is not.

    Raises
    ------
    OSError
        The file exists, cannot be made, or there is no space.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        reserve(fd, size)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(fd)
