"""What has to hold while a point is measured, and whether it did."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ophyd.status import Status

from ...contract import PointStatus
from .._base import DeviceError, Move
from .._shutter import ShutterMode
from ._beam import BeamMemory
from ._watch import Watch

if TYPE_CHECKING:
    from ._device import TES

__all__ = ["PointConditions", "Verdict"]

LIMIT = 60.0
"""Longest time (s) for asking every PV, some of which may not answer."""


@dataclass(frozen=True)
class Verdict:
    """Whether everything held while a point was measured.

    Attributes
    ----------
    status : PointStatus
    reasons : tuple of str
        What did not, in words and numbers.
    taken : str
        Who closes the shutter takes the beam away on purpose: what somebody else did with it;
        "" where nobody did.
    """

    status: PointStatus
    reasons: tuple[str, ...] = ()
    taken: str = ""


class PointConditions:
    """Watches what others may change while a point is measured.

    ``set`` begins, ``trigger`` ends and judges, ``read`` gives ``tes_point_status``. Watched are
    energy, undulator, sample, shutter, ring current and the counters' dwell, as far as the
    beamline has them.
    """

    parent = None

    def __init__(self, tes: TES):
        self._tes = tes
        self.name = f"{tes.name}_conditions"
        self._watches: list[tuple[PointStatus, Watch]] = []
        self._asked: Mapping[str, Any] = {}
        self._beam = BeamMemory()
        self._verdict: Verdict | None = None
        self._at = 0.0

    def __repr__(self) -> str:
        return f"PointConditions({self.name!r})"

    def begin_run(self) -> None:
        """Forget the beam of the run before."""
        self._beam = BeamMemory()

    def release(self) -> None:
        """Watch nothing any more."""
        watches, self._watches = self._watches, []
        for _, watch in watches:
            watch.release()

    @property
    def verdict(self) -> Verdict | None:
        """Of the point that was judged last; None before, and while the next is measured."""
        return self._verdict

    def set(self, asked: Mapping[str, Any]) -> Status:
        """Watch from now on.

        Parameters
        ----------
        asked : mapping
            ``mono`` (device), ``energy`` (true, eV), ``dwell`` (s) and ``sample`` (None: any).

        Returns
        -------
        ophyd.status.Status
            Done when every value was asked for once.
        """
        self.release()
        self._verdict, self._asked = None, dict(asked)
        watches = self._watches = list(self._wanted(asked))

        def begin() -> None:
            for _, watch in watches:
                watch.begin()

        return self._in_thread("asking what holds before a point", begin)

    def trigger(self) -> Status:
        """Judge the point that is over.

        Returns
        -------
        ophyd.status.Status
            Done when every value was asked for again.
        """
        watches, asked = self._watches, self._asked

        def judge() -> None:
            verdict = self._judged(watches, asked)
            if self._watches is watches:  # else it was begun anew meanwhile
                self._watches = []
                self._verdict, self._at = verdict, time.time()

        return self._in_thread("asking what held during a point", judge)

    def _in_thread(self, what: str, work: Callable[[], Any]) -> Status:
        """Do what waits for servers; the RunEngine's thread must not."""
        move = Move(f"{self.name}: {what}", LIMIT)

        def step() -> None:
            work()
            move.end()

        threading.Thread(
            target=move.attempt, args=(step,), daemon=True, name="tes-conditions"
        ).start()
        return move

    # -- what is wanted -------------------------------------------------------------------

    def _wanted(self, asked: Mapping[str, Any]) -> list[tuple[PointStatus, Watch]]:
        tes = self._tes
        watches: list[tuple[PointStatus, Watch]] = []

        def add(flag: PointStatus, signal: Any, wrong: Callable[[Any], str]) -> None:
            watches.append((flag, Watch(signal, wrong)))

        mono, energy = asked["mono"], float(asked["energy"])
        offset = float(mono.offset.get())
        add(PointStatus.ENERGY, mono.offset, _near(offset, 1e-9, "eV"))
        for signal, tolerance in (
            (mono.readback, mono.tolerance),
            (mono.setpoint, mono.tolerance),
            (mono.epu_readback, mono.epu_tolerance),
            (mono.epu_setpoint, mono.epu_tolerance),
        ):
            add(PointStatus.ENERGY, signal, _near(energy - offset, tolerance, "eV"))
        if tes.holder is not None and asked["sample"] is not None:
            for signal in (tes.holder.readback, tes.holder.target):
                add(PointStatus.SAMPLE, signal, _same(asked["sample"]))
        if tes.shutter is not None:
            add(PointStatus.SHUTTER, tes.shutter.status, _number(1, "open"))
            mode = int(ShutterMode.HOLD)
            add(PointStatus.SHUTTER, tes.shutter.mode, _number(mode, "held open for this scan"))
            if tes.shutter.command.get() == 1:  # it may be one that goes back to 0 by itself
                add(PointStatus.SHUTTER, tes.shutter.command, _number(1, "to open"))
        for counter in tes.counters:
            dwell = float(asked["dwell"])
            add(PointStatus.COUNTER, counter.dwell, _near(dwell, 1e-5 * dwell, "s"))
        if tes.ring is not None:
            add(PointStatus.BEAM, tes.ring.current, lambda _: "")
        return watches

    # -- what was -------------------------------------------------------------------------

    def _judged(
        self, watches: list[tuple[PointStatus, Watch]], asked: Mapping[str, Any]
    ) -> Verdict:
        tes, status, reasons, taken = self._tes, PointStatus.OK, [], ""
        shutter, current = tes.shutter, None
        for flag, watch in watches:
            found = watch.end()
            if flag is PointStatus.BEAM:
                current = watch
            if found:
                status |= flag
                reasons.append(found)
                if shutter is not None and watch.signal in (shutter.mode, shutter.command):
                    taken = taken or found
        beam = [] if current is None else [self._beam.current(current.values)]
        if tes.i0 is not None and not status & (PointStatus.COUNTER | PointStatus.ENERGY):
            beam.append(self._monitor(float(asked["energy"]), float(asked["dwell"])))
        for found in filter(None, beam):
            status |= PointStatus.BEAM
            reasons.append(found)
        result = None if tes.run is None else tes.run.acquisition.result
        if status and tes.run is not None and result is not None:
            tes.run.acquisition.disown(result.point)
        return Verdict(status, tuple(reasons), taken)

    def _monitor(self, energy: float, dwell: float) -> str:
        counter = self._tes.i0.counts
        try:
            counts = float(counter.get(use_monitor=False))
        except Exception as exc:  # whatever keeps it from being known makes the point doubtful
            return f"{counter.name} cannot be asked: {exc or type(exc).__name__}"
        return self._beam.monitor(energy, counts, dwell)

    # -- readings -------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Status of the point that was judged last.

        Raises
        ------
        DeviceError
            None was.
        """
        if self._verdict is None:
            raise DeviceError(f"{self.name}: no point was judged")
        return {"tes_point_status": {"value": int(self._verdict.status), "timestamp": self._at}}

    def describe(self) -> dict[str, Any]:
        key = {"source": self._tes.source, "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {"tes_point_status": key}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


def _near(target: float, tolerance: float, unit: str) -> Callable[[Any], str]:
    def wrong(value: Any) -> str:
        if math.isfinite(value) and abs(value - target) <= tolerance:
            return ""
        return f"was {value:.7g} {unit}, asked for was {target:.7g} {unit}"

    return wrong


def _same(sample: str) -> Callable[[Any], str]:
    return lambda value: "" if str(value) == sample else f"was {value}, asked for was {sample}"


def _number(wanted: int, meaning: str) -> Callable[[Any], str]:
    return lambda value: (
        "" if int(value) == wanted else f"was {int(value)}, not {wanted} ({meaning})"
    )
