"""What readers of a microscope's files have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._errors import FormatError

__all__ = ["EMPTY", "ImageStack", "Raw", "StxmFile", "chosen", "moment"]

Array = NDArray[np.float64]
EMPTY = "i0"
"""Role of images of the empty beam."""
TIMES = ("%Y %B %d %H:%M:%S", "%Y %b %d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y %H:%M:%S")


@dataclass(frozen=True)
class ImageStack:
    """Images of one region, their energies and axes rising.

    Attributes
    ----------
    name : str
    energy : numpy.ndarray [nE]
        eV, rising.
    x, y : numpy.ndarray [nx], [ny]
        µm, rising.
    counts : numpy.ndarray [nE, ny, nx]
        Per pixel; NaN where nothing was measured.
    dwell : numpy.ndarray [nE]
        s.
    i0 : numpy.ndarray [nE, ny, nx] or None
        Counts of a monitor.
    ring_current : numpy.ndarray [nE] or None
        mA.
    remarks : tuple of str
        What was done or left out, in words.
    """

    name: str
    energy: Array
    x: Array
    y: Array
    counts: Array
    dwell: Array
    i0: Array | None = None
    ring_current: Array | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class StxmFile:
    """What a file of a microscope holds.

    Attributes
    ----------
    path : Path
    program : str
        What wrote it, as far as is known.
    channel : str
        Detector that the counts are of.
    channels : tuple of str
        All that there are.
    stacks : tuple of ImageStack
        One for each region.
    empty : tuple of ImageStack
        Images of the empty beam, in files of this package.
    left_out : tuple of str
        What else there is in the file, in words.
    time : datetime or None
        When it was begun; None: the file does not say.
    sample : str
    """

    path: Path
    program: str
    channel: str
    channels: tuple[str, ...]
    stacks: tuple[ImageStack, ...]
    time: datetime | None = None
    sample: str = ""
    empty: tuple[ImageStack, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What was done or left out, each with its region where there are several."""
        several = len(self.stacks) > 1
        found = [
            f"{stack.name}: {text}" if several else text
            for stack in self.stacks
            for text in stack.remarks
        ]
        return [*found, *self.left_out]


@dataclass
class Raw:
    """A region as a file has it, in whatever order and unit; the dwell in s.

    A unit that the file does not say is empty.
    """

    name: str
    energy: Array
    x: Array
    y: Array
    counts: Array
    dwell: Array
    unit: str = ""
    position_unit: str = ""
    i0: Array | None = None
    i0_unit: str = ""
    ring_current: Array | None = None
    energy_unit: str = ""
    role: str = ""
    remarks: list[str] = field(default_factory=list)


def chosen(path: Path, channel: str | None, channels: Sequence[str]) -> str:
    """The channel that is wanted.

    Raises
    ------
    FormatError
        There is none, or not this one.
    """
    if not channels:
        raise FormatError(f"{path.name} has no detector with data")
    if channel is None:
        return channels[0]
    if channel not in channels:
        raise FormatError(f"{path.name} has no channel {channel!r}, only {', '.join(channels)}")
    return channel


def moment(text: str) -> datetime | None:
    """A time in a file; one without a zone is local. None where it cannot be read."""
    text = text.strip()
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    for form in TIMES:
        try:
            return datetime.strptime(text, form).astimezone()
        except ValueError:
            continue
    return None
