"""What a frame of a camera is worth."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["FrameStatus"]


class FrameStatus(IntFlag):
    """Whether a frame may be used: 0 where nothing speaks against it.

    A frame that is missing, extra, torn or unwritten has no row in the stream of the frames.
    """

    OK = 0
    MISSED = 1
    """The camera took none, or fewer than were asked for in its block: which is not known."""
    EXTRA = 2
    """Its block has more frames than were asked for: which is not known."""
    UNWRITTEN = 4
    """The camera took it, and the file does not have it."""
    TORN = 8
    """The file has a row for it, and not all of it was written."""
    GATE = 16
    """How long it was exposed is not known, or is not what was asked for."""
    POSITION = 32
    """Where it was taken is not known, or is not where it was asked for."""
    SHUTTER = 64
    """The shutter was not as asked."""
    MOVED = 128
    """Energy, zone plate or coarse stage moved meanwhile."""
    PADDING = 256
    """No frame was asked for here: the block is shorter than the run's longest."""
    BEAM = 512
    """The stored beam was lost, or fell, meanwhile."""
