"""Where a dry run takes the place of what a plan measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bluesky import Msg
from bluesky.utils import MsgGenerator

__all__ = ["Foreseen", "foretold"]


@dataclass(frozen=True)
class Foreseen:
    """What a plan takes that measures no `Scan`, as it says itself.

    Attributes
    ----------
    total, live : float
        From the plan's question to its end, and with the detectors counting (s); NaN where that
        is not known.
    leaves : tuple of (device, value)
        Where it leaves devices, in their units.
    unknown : tuple of str
        What is not in the time, and why.
    photons, dose_gy : float or None
        On the place of the sample that has most, and what they leave there (Gy); None where that
        is not known.
    more : float
        What may come in addition, at most (s).
    """

    total: float
    live: float = 0.0
    leaves: tuple[tuple[Any, float], ...] = ()
    unknown: tuple[str, ...] = ()
    photons: float | None = None
    dose_gy: float | None = None
    more: float = 0.0


def foretold(instrument: Any, scan: Any) -> MsgGenerator[bool]:
    """Ask the engine whether it knows already what the scan would take.

    A plan asks once, within its run, after its checks and before its first move. A RunEngine
    knows nothing and the plan measures. The engine of a dry run notes time and dose of the scan
    and puts the devices where it would have left them; the plan then measures nothing, and does
    its clean-up as ever.

    Parameters
    ----------
    instrument : device
        What the scan would be measured with.
    scan : redoxscope.scan.Scan or Foreseen
        What would be measured, or what it would take.

    Yields
    ------
    bluesky.Msg
        One ``null`` message, which every RunEngine knows.

    Returns
    -------
    bool
        True: measure nothing.
    """
    account = yield Msg("null", instrument, scan=scan)
    return bool(account)
