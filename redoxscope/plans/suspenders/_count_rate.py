"""Waiting for a sensible count rate of the spectrometer."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from bluesky import Msg
from bluesky.utils import MsgGenerator

from ...inputs import as_number, as_whole, plain_number
from ._holding import HoldingSuspender, signal_of

__all__ = ["CountRateSuspender"]


class CountRateSuspender(HoldingSuspender):
    """Suspends what a RunEngine does when the array counts too little, or too much.

    The rate is that of a point that is being counted, with beam; of a dark array nothing is
    judged. So what is wrong cannot be seen to be over: the point is tried again after ``settle``
    seconds, and where that was of no use ``tries`` times in a row, the plan fails and says so.

    Parameters
    ----------
    tes : device or Signal
        A spectrometer whose ``count_rate`` (counts/s of the whole array, NaN where no point is
        counted) is the signal, as `redoxscope.devices.TES`; or the signal itself.
    below, above : float, optional
        Suspends outside of these (counts/s); at least one is given.
    settle : float
        Time (s) until it is tried again.
    tries : int
        How often in a row.

    Raises
    ------
    ValueError
        No limit is given, one is no number or negative, ``above`` is not higher than ``below``, or
        ``tes`` has no signal.

    Examples
    --------
    >>> RE.install_suspender(CountRateSuspender(tes, below=50, above=2e4))  # doctest: +SKIP
    """

    def __init__(
        self,
        tes: Any,
        *,
        below: float | None = None,
        above: float | None = None,
        settle: float = 30.0,
        tries: int = 3,
    ) -> None:
        signal = signal_of("tes", tes, "count_rate")
        if below is None and above is None:
            raise ValueError("below and above = None: give one of them, counts/s")
        unit = "counts/s"
        self.below = 0.0 if below is None else as_number("below", below, unit, above=0)
        self.above = (
            math.inf if above is None else as_number("above", above, unit, above=self.below)
        )
        self.tries = as_whole("tries", tries, at_least=1)
        self._row = 0
        super().__init__(signal, settle=settle)

    def __repr__(self) -> str:
        limits = f"below={self.below:g}, above={self.above:g}"
        return f"CountRateSuspender({self._sig.name}, {limits})"

    def _judge(self, value: Any) -> bool | None:
        rate = plain_number(value)
        if rate is None or math.isnan(rate):
            return None
        if self.below <= rate <= self.above:
            self._row = 0
            return None
        return True

    def _reason(self, value: Any) -> str:
        rate = plain_number(value)
        few = rate is not None and rate < self.below
        limit = f"less than {self.below:g}" if few else f"more than {self.above:g}"
        shown = value if rate is None else f"{rate:.6g}"
        return f"{self._sig.name} is {shown} counts/s, {limit} counts/s"

    def _until(self) -> str:
        return f"{self._sleep:g} s have passed, then it is tried again"

    def _before(self) -> MsgGenerator[None]:
        self._row += 1
        if self._row > self.tries:
            reason, tries = self._reason(self._cause), self._row - 1
            self._row, self._tripped, self._asked = 0, False, False
            yield Msg("rewindable", None, True)
            raise RuntimeError(f"{reason}, also after {tries} further tries")

    async def _holds(self) -> None:
        await asyncio.sleep(self._sleep)
        with self._lock:
            self._tripped = self._asked = False
