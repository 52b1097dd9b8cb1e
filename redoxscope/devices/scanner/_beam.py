"""Whether a line was taken with beam, from its own counts."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...scan import Raster

__all__ = ["BEAM_POLL", "Beam", "BeamJudge", "BeamKeeper", "Dark"]

log = logging.getLogger("redoxscope.scanner")

BEAM_POLL = 1.2
"""Time (s) between two tries for beam: the ring current is read anew within it."""

LOST = 0.2
"""Share of the monitor's counts below which there was no beam."""

LOST_BETWEEN_IMAGES = 0.02
"""The same, against an image at another energy: I0 itself changes from one to the next."""

RING_LOST = 0.5
"""Share of the stored current below which the beam is lost."""

WINDOW, ENOUGH = 100.0, 25.0
"""Counts expected in the pixels that are judged together, and the fewest that can be judged."""


class Dark(NamedTuple):
    """A line without beam: why, and whether it can be anything else."""

    text: str
    certain: bool


class BeamJudge:
    """Compares the counts of each line with those of the lines accepted before it.

    The monitor does not see the sample, so it tells at once, even where the beam was lost within
    the line; the ring current tells up to a second late. Without a monitor a line of zeros may be
    an opaque sample: that is a suspicion only.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything: another run."""
        self._rate: float | None = None  # monitor counts of a pixel in this image
        self._before: float | None = None  # in the image before
        self._ring: float | None = None
        self._total: float | None = None  # transmission of the line before
        self._totals: dict[int, float] = {}  # and of each line, in the image before

    def begin_image(self) -> None:
        """Another image, at another energy."""
        if self._rate is not None:
            self._before, self._rate = self._rate, None
        self._total = None

    def another_raster(self, factor: float, *, same_place: bool) -> None:
        """Other pixels or another dwell, in the same run.

        Parameters
        ----------
        factor : float
            Its dwell over that before.
        same_place : bool
            The same pixels: then what each line let through is still known.
        """
        self._rate = None if self._rate is None else self._rate * factor
        self._before = None if self._before is None else self._before * factor
        kept = self._totals if same_place else {}
        self._totals = {line: total * factor for line, total in kept.items()}
        self._total = None

    def judge(self, line: int, counts: Mapping[str, Any], ring: float) -> Dark | None:
        """Why a line counts as dark; None where it had beam or nothing can tell.

        Parameters
        ----------
        line : int
        counts : mapping of str to array
            By detector; ``i0`` is the monitor.
        ring : float
            Stored current (mA) as read last; NaN where it is not known.
        """
        if self._ring is not None and math.isfinite(ring) and ring < RING_LOST * self._ring:
            return Dark(f"the ring current is {ring:.4g} mA where it was {self._ring:.4g} mA", True)
        monitor = _finite(counts.get("i0"))
        others = [_finite(values) for name, values in counts.items() if name != "i0"]
        if not monitor.size and not any(values.size for values in others):
            return None  # no numbers at all: nothing can tell
        total = float(sum(values.sum() for values in others))
        if monitor.size and total == 0 and monitor.sum() == 0:
            return Dark("no counts at all, of the monitor and behind the sample", True)
        if monitor.size and (monitor.sum() > 0 or self._rate or self._before):
            return self._judge_monitor(monitor)
        return self._judge_transmission(line, total)

    def accept(self, line: int, counts: Mapping[str, Any], ring: float) -> None:
        """Take a line that was handed out as taken as the measure of those that follow."""
        monitor = _finite(counts.get("i0"))
        if monitor.size and monitor.sum() > 0:
            self._rate = float(monitor.mean())
        if math.isfinite(ring) and ring > 0:
            self._ring = ring
        others = [_finite(values) for name, values in counts.items() if name != "i0"]
        if any(values.size for values in others):
            self._total = self._totals[line] = float(sum(values.sum() for values in others))

    def _judge_monitor(self, monitor: NDArray[np.float64]) -> Dark | None:
        mean, text = (
            float(monitor.mean()),
            "the monitor counts {:.3g} per pixel where {:.3g} are due",
        )
        if self._rate is None and self._before is not None:
            if self._before * monitor.size >= WINDOW and mean < LOST_BETWEEN_IMAGES * self._before:
                return Dark(text.format(mean, self._before), True)
        # Against the line before, and against its own bright half: a beam that was lost within
        # the first line of an image leaves both in it.
        own = float(np.sort(monitor)[monitor.size // 2 :].mean())
        due = max(self._rate or 0.0, own)
        if due * monitor.size < ENOUGH:
            return None
        width = min(math.ceil(WINDOW / due), monitor.size)
        running = np.concatenate([[0.0], np.cumsum(monitor)])
        lowest = float((running[width:] - running[:-width]).min()) / width
        return Dark(text.format(lowest, due), True) if lowest < LOST * due else None

    def _judge_transmission(self, line: int, total: float) -> Dark | None:
        if total > 0:
            return None
        known = self._totals.get(line, self._total)
        if known is not None and known < ENOUGH:  # dark there before: the sample is opaque
            return None
        return Dark("no counts at all", False)


class Beam(Enum):
    """What is to be done with a line, as far as its beam goes."""

    ON = "take it"
    BACK = "take it; it was dark before"
    OFF = "fly it again in a while"
    GIVEN_UP = "flag it"


class BeamKeeper:
    """Has dark lines flown again until there is beam, for so long and no longer.

    Parameters
    ----------
    name : str
        Of the scanner, for messages.
    clock : callable
        Time (s).
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic):
        self._name, self._clock = name, clock
        self._judge = BeamJudge()
        self._since: float | None = None  # it is dark since then (s)
        self._given_up = False

    def begin(self) -> None:
        """Another run."""
        self._judge.begin()
        self.interrupted()

    def begin_image(self) -> None:
        """Another image, at another energy."""
        self._judge.begin_image()
        self._since = None

    def another_raster(self, before: Raster | None, now: Raster) -> None:
        """The next image has this raster, where the last had that (None: it is the first)."""
        if before is not None and before != now:
            same = replace(before, dwell=now.dwell, retries=now.retries) == now
            self._judge.another_raster(now.dwell / before.dwell, same_place=same)

    def interrupted(self) -> None:
        """A pause: who resumes wants to try anew."""
        self._since = None
        self._given_up = False

    def look(
        self, line: int, counts: Mapping[str, Any], ring: float, *, trouble: str, patience: float
    ) -> Beam:
        """Judge a line.

        Parameters
        ----------
        line, counts, ring
            As of `BeamJudge.judge`.
        trouble : str
            What else says that it was dark, in words.
        patience : float
            Longest time (s) to try again.
        """
        dark = Dark(trouble, True) if trouble else self._judge.judge(line, counts, ring)
        tried = self._since is not None and not self._given_up
        if dark is not None and not dark.certain and tried and not ring <= 0:
            dark = None  # the same once more, and the ring is well: an opaque piece of sample
        if dark is None:
            self._judge.accept(line, counts, ring)
            back = self._since is not None or self._given_up
            if back:
                log.warning("%s: line %d has beam again", self._name, line)
            self.interrupted()
            return Beam.BACK if tried else Beam.ON
        if self._given_up:
            return Beam.GIVEN_UP
        text, now = f"{self._name}: line {line}", self._clock()
        if self._since is None:
            self._since = now
            again = f"it is flown again until there is some, for at most {patience:g} s"
            log.warning("%s had no beam: %s; %s", text, dark.text, again)
        if now - self._since < patience:
            return Beam.OFF
        self._given_up = True
        flagged = "such lines are stored as DISTURBED until there is beam"
        log.error("%s still has no beam after %g s: %s; %s", text, patience, dark.text, flagged)
        return Beam.GIVEN_UP


def _finite(values: Any) -> NDArray[np.float64]:
    array = np.atleast_1d(np.asarray([] if values is None else values, dtype=np.float64))
    return array[np.isfinite(array)]
