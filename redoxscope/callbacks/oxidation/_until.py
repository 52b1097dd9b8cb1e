"""How far a map is from what its plan is to reach, and how long it will take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...analysis.oxidation import (
    Forecast,
    OxidationResult,
    StackFit,
    Target,
    as_target,
    forecast,
    rows_that_matter,
)
from .._documents import Doc

__all__ = ["GoodEnough", "Until"]

RECENT = 5
"""Energies whose pace is taken for that of those to come."""


@dataclass(frozen=True)
class GoodEnough:
    """How far a map is from its target.

    Attributes
    ----------
    target : Target
    forecast : Forecast
        Share of the pixels, and the energies that it takes.
    seconds_left : float
        So long it will take yet, s; NaN where that is not known, or it is over.
    words : str
        All of it in one line.
    """

    target: Target
    forecast: Forecast
    seconds_left: float
    words: str


class Until:
    """Looks at a map as its plan does, and at the times of its lines.

    Parameters
    ----------
    target : Target
    rows : bool
        Whether the plan leaves rows out.
    """

    def __init__(self, target: Target, rows: bool) -> None:
        self._target, self._rows = target, rows
        self._begun: dict[int, float] = {}
        self._looked: tuple[int, int] | None = None
        self.found: GoodEnough | None = None

    @classmethod
    def of(cls, start: Doc) -> Until | None:
        """That of a run; None where its plan has no target, or one that is not known here."""
        try:
            target = as_target(start["until"])
        except (KeyError, ValueError):
            return None
        return cls(target, start.get("rows") == "informative")

    @property
    def words(self) -> str:
        """What was said last."""
        return "" if self.found is None else self.found.words

    def stamped(self, k: int, time: float) -> None:
        """Take the time (s) of a line of energy ``k``."""
        self._begun.setdefault(k, time)

    def look(
        self, fit: StackFit, result: OxidationResult, name: str, *, whole: int, final: bool
    ) -> None:
        """Judge a map of a region, whose name is said where there are several.

        Once for each energy, as its plan does, not for each line; ``whole`` energies have all
        their lines. At the end once more.
        """
        # Of those that rows are left out of, the next one says that they are over.
        looked = whole, len(self._begun) if self._rows else 0
        if looked == self._looked and not final:
            return
        self._looked = looked
        rows = rows_that_matter(fit, result, self._target) if self._rows else None
        one = forecast(fit, result, self._target, rows)
        seconds, left, pace = math.nan, "", self._pace()
        if not (final or one.enough or math.isnan(pace)):
            seconds = ((one.needed or one.total) - one.done) * pace
            left = _time(seconds)
            if not one.foretold and one.earliest is not None:
                ends = ((n or one.total) - one.done for n in (one.earliest, one.latest))
                left = " to ".join(_time(n * pace) for n in ends)
        words = one.in_words(self._target, of=name, left=left, over=final)
        self.found = GoodEnough(self._target, one, seconds, words)

    def _pace(self) -> float:
        """Seconds from one energy to the next; a pause is one that is left out."""
        times = np.sort([*self._begun.values()])[-RECENT - 1 :]
        return float(np.median(np.diff(times))) if len(times) > 1 else math.nan


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
