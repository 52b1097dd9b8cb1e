"""A line has come: whether it is handed out, flown again, flagged, or ends the image."""

from __future__ import annotations

import logging
from typing import Any

from ..contract import LineStatus
from ._asked import misplaced, wrong_lengths
from ._base import DeviceError
from ._beam import BEAM_POLL, Beam, BeamKeeper
from ._flight import Flight
from ._lines import Parts
from ._record import LineRecord
from ._scanner_pvs import ScannerState
from ._timers import call_later

__all__ = ["JudgedFlight"]

log = logging.getLogger("redoxscope.scanner")

PAUSE_TIMEOUT = 2.0
"""Time (s) within which the RunEngine pauses the scanner after it has stopped the shutter."""


class JudgedFlight(Flight):
    """Judges each line of a flight, and keeps those that are ready."""

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._record: LineRecord | None = None
        self._origin: tuple[float, float] | None = None
        self._beam = BeamKeeper(name)

    # -- a line has come --------------------------------------------------------------------

    def _line_arrived(self, flight: int, line: int, parts: Parts | None, when: float) -> None:
        """Callback of the joiner: a line is whole, or (``parts`` None) was lost on the way."""
        with self._locked():
            if flight != self._flight or not self._armed or self._raster is None:
                return
            assert self._record is not None
            own = {} if parts is None else parts[self.name]
            _, number, trouble = (0, line, 1) if parts is None else own["info"]
            if int(number) != line or line != self._next:
                raise DeviceError(
                    f"{self.name}: {self.info.pvname} says line {number} where {self._next} is due"
                )
            counts = {}
            if parts is not None:
                counts = {det.field: parts[det.field]["line"] for det in self._record.detectors}
            if self._shutter is not None and not self._shutter.told_to_follow:
                self._shut_by_us()
                return
            wrong = self._watch.taken()
            self._no_remedy()
            if int(trouble) != 0 or parts is None:
                self._take_or_repeat(LineStatus.MISSED, "was missed", when, own, {})
                return
            wrong += self._trouble_with(own, counts)
            if wrong:
                text = f"was disturbed: {'; '.join(wrong)}"
                self._take_or_repeat(LineStatus.DISTURBED, text, when, own, counts)
                return
            ring, patience = self._record.ring_current(), self.beam_patience.get()
            shut = self._shutter_trouble()
            beam = self._beam.look(line, counts, ring, trouble=shut, patience=patience)
            if beam is Beam.OFF:
                self._fly_again(line, wait=min(BEAM_POLL, patience))
                return
            again = beam is Beam.BACK or self._tried.get(line) or self._outages.get(line)
            status = LineStatus.RETRIED if again else LineStatus.OK
            self._hand_out(
                LineStatus.DISTURBED if beam is Beam.GIVEN_UP else status, when, own, counts
            )

    def _no_remedy(self) -> None:
        """Fail where something was moved, and stays so, that only its owner may move back."""
        for held, text in self._watch.off():
            if held.restore is not None or not held.signal.connected:
                continue
            if self._shutter is not None and held.signal is self._shutter.mode:
                text += (
                    "; it was taken out of following the scanner by somebody else; the scan ends "
                    "rather than open it again"
                )
            raise DeviceError(f"{self.name}, line {self._next}: {text}")

    def _take_or_repeat(
        self,
        status: LineStatus,
        text: str,
        when: float,
        own: dict[str, Any],
        counts: dict[str, Any],
    ) -> None:
        """Fly a line again that did not come as asked for; hand it out when tried enough."""
        assert self._raster is not None
        line = self._next
        tried = self._tried.get(line, 0)
        if tried < self._raster.retries:
            self._tried[line] = tried + 1
            log.warning("%s: line %d %s; flown again", self.name, line, text)
            self._fly_again(line)
            return
        log.error("%s: line %d %s; stored as %s", self.name, line, text, status.name)
        self._hand_out(status, when, own, counts)
        if self._armed and self._watch.off():
            self._fly_again(self._next)  # what is away is asked for again

    def _trouble_with(self, own: dict[str, Any], counts: dict[str, Any]) -> list[str]:
        """What says that a line was not flown where, or with as many pixels as, it should."""
        assert self._raster is not None
        arrays = {self.x.pvname: own["x"], self.y.pvname: own["y"], **counts}
        wrong = wrong_lengths(arrays, self._raster.nx)
        if wrong or self._origin is None:
            return wrong
        measured = {self.x.pvname: own["x"], self.y.pvname: own["y"]}
        tolerance = self.position_tolerance.get()
        return misplaced(measured, self._raster, self._next, self._origin, tolerance)

    def _hand_out(
        self, status: LineStatus, when: float, own: dict[str, Any], counts: dict[str, Any]
    ) -> None:
        assert self._raster is not None and self._record is not None
        self._ready.append(self._record.row(self._next, status, when, self._raster.nx, own, counts))
        self._next += 1
        if self._next < self._raster.ny:
            self._watchdog.feed(self.line_timeout())
            self._patience.feed(self._longest_wait())
        else:
            self._clean = True
            self._disarm()
            self._patience.rest()
            self._watch.rest()
        self._notify()

    def _state_changed(self, *, value: Any, **_: Any) -> None:
        try:
            if int(value) == ScannerState.ERROR and self._armed:
                text = self.message.get() or "an error without a message"
                raise DeviceError(f"{self.name} ({self.state.pvname}) reports: {text}")
        except Exception as exc:
            self._fail_image(exc)

    # -- the shutter, as it reports itself --------------------------------------------------

    def _blade_moved(self, *, value: Any, **_: Any) -> None:
        with self._locked():
            if not self._armed:
                return
            self._closed = self._closed or (self._opened and not value)
            self._opened = self._opened or bool(value)

    def _shutter_trouble(self) -> str:
        """Why a line that was just flown had no light, as far as the shutter says so."""
        if self._shutter is None:
            return ""
        status, last = (
            self._shutter.status,
            self._raster is None or self._next == self._raster.ny - 1,
        )
        if self._closed and not last:  # after the last line it closes
            self._closed = False
            return f"{self._shutter.name} ({status.pvname}) was closed within it"
        if not self._opened and not last:
            self._opened = bool(status.get()) or bool(status.get(use_monitor=False))
            if not self._opened:
                return f"{self._shutter.name} ({status.pvname}) says that it is closed"
        return ""

    def _shut_by_us(self) -> None:
        """The shutter was closed from here: a pause comes next, or the image ends."""
        self._disarm()
        flight = self._flight

        def no_pause_came() -> None:
            if flight == self._flight and self._shutter is not None:
                name = self._shutter.name
                text = f"{self.name}, line {self._next}: {name} was closed within the image"
                self._fail_image(DeviceError(text))

        call_later(PAUSE_TIMEOUT, no_pause_came)
