"""A block of frames that was taken, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...documents import PTYCHO_ARRAYS, FrameStatus
from ...scan import Block
from ..camera import CountedFrames
from ..path import FlownPath

__all__ = ["TakenBlock", "judged"]

GATE_OFF = 0.05
"""Part of an exposure by which its gate may be off."""
SHOWN = 5


@dataclass(frozen=True)
class TakenBlock:
    """What came of a block; arrays have a value for each of its frames.

    Attributes
    ----------
    block : Block
        As it was asked for.
    row : ndarray of int [n]
        Row in the stream of frames, -1 where there is none.
    x, y : ndarray of float [n]
        Where the sample was (µm, sample coordinates), NaN where that is not known.
    gate : ndarray of float [n]
        How long each was exposed (s), NaN where that is not known.
    status : ndarray of int [n]
        `redoxscope.documents.FrameStatus`.
    reasons : tuple of str
        What is wrong, in words and numbers; empty where nothing is.
    """

    block: Block
    row: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gate: NDArray[np.float64]
    status: NDArray[np.int64]
    reasons: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing speaks against any of its frames."""
        return not self.status.any()

    def values(self, n: int) -> dict[str, Any]:
        """Values of an event, by data key; arrays of length ``n``, with padding at the end."""
        found: dict[str, Any] = {"exposure": self.block.exposure, "first": self.block.first}
        filled = {"row": -1, "frame_status": int(FrameStatus.PADDING)}
        for key in PTYCHO_ARRAYS:
            own = getattr(self, "status" if key == "frame_status" else key)
            whole = np.full(n, filled.get(key, np.nan), dtype=own.dtype)
            whole[: len(own)] = own
            found[key] = whole.tolist()
        return found


def judged(
    block: Block,
    counted: CountedFrames,
    flown: FlownPath,
    doubts: Mapping[FrameStatus, Sequence[str]],
    farthest: float,
) -> TakenBlock:
    """What a block is worth.

    Parameters
    ----------
    block : Block
    counted : CountedFrames
        Of the camera.
    flown : FlownPath
        Of the path.
    doubts : mapping
        What did not hold meanwhile, in words, by the flag that it gives every frame.
    farthest : float
        Distance (µm) from where it was asked for that a place may have.
    """
    status, reasons = counted.status.copy(), list(counted.reasons)
    frames = block.frames
    asked = np.tile(block.times, len(block.positions))
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(flown.gate - asked) <= GATE_OFF * asked)
    if wrong.any():
        k = int(np.argmax(wrong))
        status[wrong] |= FrameStatus.GATE
        reasons.append(
            f"{wrong.sum()} of {frames} exposures are not as asked: frame {k} was "
            f"{flown.gate[k]:.4g} s where {asked[k]:.4g} s were asked for"
        )
    places = np.repeat(np.array(block.positions), len(block.times), axis=0)
    off = np.hypot(flown.x - places[:, 0], flown.y - places[:, 1])
    wrong = ~(off <= farthest)
    if wrong.any():
        k = int(np.argmax(wrong))
        status[wrong] |= FrameStatus.POSITION
        reasons.append(
            f"{wrong.sum()} of {frames} places are not as asked: frame {k} was taken {off[k]:.3g} "
            f"µm from its place (largest distance {farthest:g} µm)"
        )
    for flag, words in doubts.items():
        status |= int(flag)
        reasons += words
    return TakenBlock(
        block, counted.row, flown.x, flown.y, flown.gate, status, tuple(dict.fromkeys(reasons))
    )
