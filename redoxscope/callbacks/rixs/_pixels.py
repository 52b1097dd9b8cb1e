"""Health of the pixels of an array: the calibration's verdict, and who sees photons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...documents import NOT_CHOSEN

__all__ = ["PixelHealth", "PixelState", "PixelTally"]

ENOUGH = 20
"""Median photons of a pixel from which on one without any is called silent: by chance alone
that happens to one pixel in e^20."""

ODD = 3.0
"""A pixel with so many times more or fewer photons than the median is called odd."""


class PixelState(IntEnum):
    """What is to be said of a pixel."""

    USED = 0
    LEFT_OUT = 1
    SILENT = 2
    ODD = 3
    SPARE = 4
    """Usable, but this run does without it."""


@dataclass(frozen=True)
class PixelHealth:
    """State of each pixel at one moment.

    Attributes
    ----------
    channel : numpy.ndarray of int [n]
        Channel numbers, rising.
    usable : numpy.ndarray of bool [n]
        Whether the calibration uses the pixel.
    reason : tuple of str
        Why not, else empty.
    photons : numpy.ndarray of int [n]
        Photons seen live in this run.
    """

    channel: NDArray[np.int64]
    usable: NDArray[np.bool_]
    reason: tuple[str, ...]
    photons: NDArray[np.int64]

    def __repr__(self) -> str:
        used, photons = int(self.usable.sum()), int(self.photons.sum())
        return f"<PixelHealth: {used} of {len(self)} pixels used, {photons} photons seen live>"

    def __len__(self) -> int:
        return len(self.channel)

    @property
    def states(self) -> NDArray[np.int8]:
        """`PixelState` of each pixel [n]."""
        state = np.where(self.usable, PixelState.USED, PixelState.LEFT_OUT).astype(np.int8)
        spare = np.array([reason == NOT_CHOSEN for reason in self.reason], bool)
        state[~self.usable & spare] = PixelState.SPARE
        median = float(np.median(self.photons[self.usable])) if self.usable.any() else 0.0
        if median >= ENOUGH:
            odd = (self.photons > ODD * median) | (self.photons < median / ODD)
            state[self.usable & odd] = PixelState.ODD
            state[self.usable & (self.photons == 0)] = PixelState.SILENT
        return state

    @property
    def left_out(self) -> dict[int, str]:
        """Channel and reason of each pixel that cannot be used."""
        return {
            int(channel): reason
            for channel, usable, reason in zip(self.channel, self.usable, self.reason, strict=True)
            if not usable and reason != NOT_CHOSEN
        }

    def count(self, state: PixelState) -> int:
        """Pixels in a state."""
        return int((self.states == state).sum())


class PixelTally:
    """Counts photons per pixel and keeps the calibration's verdict.

    Parameters
    ----------
    known : PixelTally, optional
        Has the verdict to begin with.
    """

    def __init__(self, known: PixelTally | None = None) -> None:
        self._verdict: dict[int, tuple[bool, str]] = {} if known is None else known.verdict
        self._counts = np.zeros(0, np.int64)

    @property
    def verdict(self) -> dict[int, tuple[bool, str]]:
        """Whether each channel is used, and why not; replaced as a whole."""
        return self._verdict

    def judge(
        self, channels: Sequence[int], ok: Sequence[Any], reasons: Sequence[str] | None = None
    ) -> None:
        """Replace the verdict: channel numbers, whether each is used, and why not."""
        words = [""] * len(channels) if reasons is None else list(reasons)
        self._verdict = {
            int(c): (bool(o), "" if o else str(w or "refused by the calibration"))
            for c, o, w in zip(channels, ok, words, strict=True)
        }

    def judge_from(self, data: Mapping[str, Any]) -> bool:
        """Take a verdict from an event or a configuration; whether there was one."""
        if "tes_pixel_channel" not in data or "tes_pixel_ok" not in data:
            return False
        reasons = data.get("tes_pixel_reason")
        self.judge(
            np.asarray(data["tes_pixel_channel"]).ravel().tolist(),
            np.asarray(data["tes_pixel_ok"]).ravel().tolist(),
            None if reasons is None else [str(r) for r in np.asarray(reasons).ravel()],
        )
        return True

    def add(self, pixels: NDArray) -> None:
        """Count photons by channel number [n]."""
        counts = np.bincount(pixels, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def health(self) -> PixelHealth | None:
        """State of all pixels that are known; None if none is."""
        seen = np.flatnonzero(self._counts)
        channels = sorted({*self._verdict, *seen.tolist()})
        if not channels:
            return None
        unknown = (not self._verdict, "not in the calibration" if self._verdict else "")
        verdicts = [self._verdict.get(c, unknown) for c in channels]
        photons = [int(self._counts[c]) if c < len(self._counts) else 0 for c in channels]
        return PixelHealth(
            np.array(channels, np.int64),
            np.array([ok for ok, _ in verdicts], bool),
            tuple(reason for _, reason in verdicts),
            np.array(photons, np.int64),
        )
