"""A line has come: whether it is taken, flown again, flagged, or ends the image."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from ...scan import Raster
from .._asked import misplaced, wrong_lengths
from .._base import DeviceError
from .._line_source import FlownLine
from .._shutter import ScanShutter
from .._watch import Watch
from ._beam import Beam, BeamKeeper
from ._record import LineRecord

__all__ = ["Blade", "Judge", "Ruling", "Verdict"]


class Verdict(Enum):
    """What is to be done with a line."""

    TAKEN = "hand it out"
    TAKEN_LATE = "hand it out; it was dark before"
    MISSED = "fly it again, or hand it out without counts"
    DISTURBED = "fly it again, or flag it"
    DARK = "fly it again in a while"
    DARK_FOR_GOOD = "flag it"


class Ruling(NamedTuple):
    """What is to be done with a line, and what is wrong with it, in words."""

    verdict: Verdict
    text: str = ""


class Blade:
    """What the shutter reported of itself since a flight began."""

    def __init__(self, shutter: ScanShutter | None):
        self._shutter = shutter
        self._opened = self._closed = False

    @property
    def _signal(self) -> Any:
        return None if self._shutter is None else self._shutter.blade

    def begin(self) -> None:
        """Another flight."""
        self._opened = self._closed = False

    def moved(self, value: Any) -> None:
        """It says that it is open (not 0) or closed."""
        self._closed = self._closed or (self._opened and not value)
        self._opened = self._opened or bool(value)

    def trouble(self, *, last: bool) -> str:
        """Why a line that was just flown had no light, as far as the shutter says so."""
        status = self._signal
        if status is None or self._shutter is None:
            return ""
        if self._closed and not last:  # after the last line it closes
            self._closed = False
            return f"{self._shutter.name} ({status.pvname}) was closed within it"
        if not self._opened and not last:
            self._opened = bool(status.get()) or bool(status.get(use_monitor=False))
            if not self._opened:
                return f"{self._shutter.name} ({status.pvname}) says that it is closed"
        return ""


class Judge:
    """Compares each line with what was asked for.

    Parameters
    ----------
    name : str
        Of the scanner, for messages.
    record : LineRecord
    watch : Watch
        What must hold.
    blade : Blade
    """

    def __init__(self, name: str, record: LineRecord, watch: Watch, blade: Blade):
        self._name, self._record, self._watch = name, record, watch
        self.blade = blade
        self.beam = BeamKeeper(name)

    def rule(
        self,
        flown: FlownLine,
        raster: Raster,
        origin: tuple[float, float] | None,
        *,
        tolerance: float,
        patience: float,
    ) -> Ruling:
        """What is to be done with a line.

        Parameters
        ----------
        flown : FlownLine
        raster : Raster
        origin : tuple of float or None
            Where the raster's zero is (µm, sample coordinates), where that is known.
        tolerance : float
            Largest distance (µm) of a pixel from where it was asked for, beyond half a pixel.
        patience : float
            Longest time (s) to try for beam.

        Raises
        ------
        DeviceError
            Something was moved, and stays so, that only its owner may move back.
        """
        wrong = [*self._watch.taken(), *flown.wrong]
        self._no_remedy(flown.line)
        if flown.missed:
            return Ruling(Verdict.MISSED, f"was missed: {flown.missed}")
        wrong += self._misflown(flown, raster, origin, tolerance)
        if wrong:
            return Ruling(Verdict.DISTURBED, f"was disturbed: {'; '.join(wrong)}")
        shut = self.blade.trouble(last=flown.line == raster.ny - 1)
        ring = self._record.ring_current()
        beam = self.beam.look(flown.line, flown.counts, ring, trouble=shut, patience=patience)
        return Ruling(
            {
                Beam.ON: Verdict.TAKEN,
                Beam.BACK: Verdict.TAKEN_LATE,
                Beam.OFF: Verdict.DARK,
                Beam.GIVEN_UP: Verdict.DARK_FOR_GOOD,
            }[beam]
        )

    def _no_remedy(self, line: int) -> None:
        """Fail where something was moved, and stays so, that only its owner may move back."""
        for held, text in self._watch.off():
            if held.restore is None and held.signal.connected:
                raise DeviceError(f"{self._name}, line {line}: {text}")

    def _misflown(
        self,
        flown: FlownLine,
        raster: Raster,
        origin: tuple[float, float] | None,
        tolerance: float,
    ) -> list[str]:
        """What says that a line was not flown where, or with as many pixels as, it should."""
        where = self._record.where
        measured = {
            f"{key} ({where[key]})": values
            for key, values in (("sample_x", flown.x), ("sample_y", flown.y))
        }
        wrong = wrong_lengths({**measured, **flown.counts}, raster.nx)
        if wrong or origin is None:
            return wrong
        return misplaced(measured, raster, flown.line, origin, tolerance)
