"""Which row of the file is which frame that was asked for: by the camera's own numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...documents import FrameStatus

__all__ = ["CountedFrames", "paired"]


@dataclass(frozen=True)
class CountedFrames:
    """Frames that were asked for together, and where they are.

    Attributes
    ----------
    row : ndarray of int [n]
        Row of each in the file's data set; -1 where it is not to be used.
    status : ndarray of int [n]
        `FrameStatus` of each.
    reasons : tuple of str
        What is wrong, in words and numbers; empty where nothing is.
    """

    row: NDArray[np.int64]
    status: NDArray[np.int64]
    reasons: tuple[str, ...] = ()


def paired(
    name: str, n: int, last: int, acquired: int, ids: ArrayLike, first_row: int
) -> CountedFrames:
    """Pair rows with frames by the number that the camera gives each frame.

    Nothing is paired by the order in which it came: a frame that the file lacks shifts no other.

    Parameters
    ----------
    name : str
        Of the camera, for messages.
    n : int
        Frames that were asked for.
    last : int
        Number of the camera's last frame before them: theirs are ``last + 1`` to ``last + n``.
    acquired : int
        Frames that the camera counted since; -1 where it did not say.
    ids : array_like of int [m]
        Number of the frame in each row of the file from ``first_row`` on, 0 or less where it was
        not written. Rows of frames before these are passed over.
    first_row : int

    Returns
    -------
    CountedFrames
        Where the camera counted fewer or more frames than were asked for, which one is missing
        or extra cannot be known, and none has a row.
    """
    row = np.full(n, -1, dtype=np.int64)
    status = np.zeros(n, dtype=np.int64)
    number = np.asarray(ids, dtype=np.int64).ravel()
    ours = number > last
    torn = np.flatnonzero(number <= 0)
    extra = max(acquired - n, int((number > last + n).sum()))
    unique = np.unique(number[ours])
    if extra <= 0 and unique.size < ours.sum():
        extra = int(ours.sum() - unique.size)
    if extra > 0:
        status[:] = FrameStatus.EXTRA
        return CountedFrames(
            row, status, (f"{name} took {n + extra} frames where {n} were asked for",)
        )
    if acquired < n:
        status[:] = FrameStatus.MISSED
        counted = "no" if acquired <= 0 else f"{acquired}"
        return CountedFrames(
            row, status, (f"{name} took {counted} frames where {n} were asked for",)
        )
    row[number[ours] - last - 1] = first_row + np.flatnonzero(ours)
    missing = np.flatnonzero(row < 0)
    if not missing.size:
        return CountedFrames(row, status)
    # A row that lost its number stands where its frame would: after the one before it.
    before = first_row + torn - 1
    for at in missing:
        begin = int(np.argmax(ours)) if ours.size else 0
        above = row[at - 1] if at else first_row + begin - 1
        broken = torn.size and (above in before or torn.size == missing.size)
        status[at] = FrameStatus.TORN if broken else FrameStatus.UNWRITTEN
    reasons = []
    for flag, words in (
        (FrameStatus.TORN, "only part of what was written"),
        (FrameStatus.UNWRITTEN, "no row in the file"),
    ):
        which = np.flatnonzero(status == flag)
        if which.size:
            shown = ", ".join(str(k) for k in which[:5]) + (", …" if which.size > 5 else "")
            reasons.append(f"{name}: {which.size} of {n} frames have {words} (frames {shown})")
    return CountedFrames(row, status, tuple(reasons))
