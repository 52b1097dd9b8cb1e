"""What has to hold while a point is measured, and whether it did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ophyd.status import Status
from ophyd.utils import DisconnectedError

from ...documents import PointStatus
from .._asked import energy_held
from .._base import DeviceError, Move, NoAnswerError, answering, ask
from .._shutter import ShutterMode
from .._watch import Expected, Held, Watch
from ._beam import BeamMemory
from ._run import Whole

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

    ``set`` begins, ``trigger`` ends and judges, ``read`` gives ``point`` and
    ``tes_point_status``. Watched are energy, undulator, sample, shutter, ring current and the
    counters' dwell, as far as the beamline has them.
    """

    parent = None

    def __init__(self, tes: Whole):
        self._tes = tes
        self.name = f"{tes.name}_conditions"
        self._watch = Watch()
        self._point = _Point({}, (), {})
        self._beam = BeamMemory()
        self._verdict: Verdict | None = None
        self._at = 0.0
        self.watching = False
        """Whether a plan has it watch the point that is measured."""

    def __repr__(self) -> str:
        return f"PointConditions({self.name!r})"

    def begin_run(self) -> None:
        """Forget the beam of the run before."""
        self._beam = BeamMemory()
        self.watching = False

    def release(self) -> None:
        """Nothing must hold any more."""
        self.watching = False
        self._watch.rest()

    @property
    def verdict(self) -> Verdict | None:
        """Of the point that was judged last; None before, and while the next is measured."""
        return self._verdict

    def set(self, asked: Mapping[str, Any]) -> Status:
        """Watch from now on.

        Parameters
        ----------
        asked : mapping
            ``mono`` (device), ``energy`` (true, eV), ``dwell`` (s), ``sample`` (None: any) and
            ``point``, its index in the scan.

        Returns
        -------
        ophyd.status.Status
            Done when every value was asked for once; fails with `NoAnswerError` where one does
            not answer.
        """
        self._verdict, self.watching = None, True
        wanted = tuple(self._wanted(asked))
        expected = self._watch.hold([held for _, held in wanted])
        self._point = _Point(dict(asked), wanted, expected)

        def begin() -> None:
            self._watch.ask(expected, anew=True)
            self._answered()

        return self._in_thread("asking what holds before a point", begin)

    def trigger(self) -> Status:
        """Judge the point that is over.

        Returns
        -------
        ophyd.status.Status
            Done when every value was asked for again; fails with `NoAnswerError` where one did
            not answer, also for a moment.
        """
        point = self._point

        def judge() -> None:
            seen = self._watch.ask(point.expected)
            try:
                self._answered()
            except NoAnswerError:
                self._disown()  # it is measured again
                raise
            if self._point is point:  # else another was begun meanwhile
                self._verdict, self._at = self._judged(point, seen), time.time()
                self._watch.rest()

        return self._in_thread("asking what held during a point", judge)

    def _answered(self) -> None:
        """Refuse to judge what could not be asked: an outage is nobody's meddling."""
        if silent := self._watch.silent:
            raise NoAnswerError("; ".join(silent))

    def _disown(self) -> None:
        """Calibrate nothing with the photons of the point that was measured last."""
        run = self._tes.run
        result = None if run is None else run.acquisition.result
        if run is not None and result is not None:
            run.acquisition.disown(result.point)

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a point failed for lack of an answer; else None.

        Returns
        -------
        ophyd.status.Status or None
            Done when all that a point needs beside the detector answers again; fails with
            `DeviceError` when it does not within ``tes.outage`` seconds.
        """
        tes = self._tes
        signals = [counter.counts for counter in tes.counters]
        if tes.shutter is not None:
            signals += [tes.shutter.status, tes.shutter.mode]
        if tes.holder is not None:
            signals.append(tes.holder.readback)
        if tes.ring is not None:
            signals.append(tes.ring.current)
        return answering(tes.name, signals, error, tes.outage.get())

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

    def _wanted(self, asked: Mapping[str, Any]) -> Iterator[tuple[PointStatus, Held]]:
        tes = self._tes
        for held in energy_held(asked["mono"], float(asked["energy"])):
            yield PointStatus.ENERGY, held
        if tes.holder is not None and asked["sample"] is not None:
            for signal in (tes.holder.readback, tes.holder.target):
                yield PointStatus.SAMPLE, Held(tes.holder.name, signal, str(asked["sample"]))
        if tes.shutter is not None:
            wanted = [
                (tes.shutter.status, 1, "open"),
                (tes.shutter.mode, int(ShutterMode.HOLD), "held open for this scan"),
            ]
            if tes.shutter.command.get() == 1:  # it may be one that goes back to 0 by itself
                wanted.append((tes.shutter.command, 1, "to open"))
            for signal, value, meaning in wanted:
                held = Held(tes.shutter.name, signal, value, meaning=meaning)
                yield PointStatus.SHUTTER, held
        for counter in tes.counters:
            dwell = float(asked["dwell"])
            yield PointStatus.COUNTER, Held(counter.name, counter.dwell, dwell, 1e-5 * dwell, "s")
        if tes.ring is not None:
            yield PointStatus.BEAM, Held(tes.ring.name, tes.ring.current, None)

    # -- what was -------------------------------------------------------------------------

    def _judged(self, point: _Point, seen: Mapping[Any, str]) -> Verdict:
        tes, status, reasons, taken = self._tes, PointStatus.OK, [], ""
        for flag, held in point.wanted:
            if found := seen.get(held.signal):
                status |= flag
                reasons.append(found)
                if tes.shutter is not None and held.signal in (
                    tes.shutter.mode,
                    tes.shutter.command,
                ):
                    taken = taken or found
        asked, beam = point.asked, []
        if tes.ring is not None and tes.ring.current not in seen:
            beam.append(self._beam.current(self._watch.came(tes.ring.current)))
        if tes.i0 is not None and not status & (PointStatus.COUNTER | PointStatus.ENERGY):
            beam.append(self._monitor(float(asked["energy"]), float(asked["dwell"])))
        for found in filter(None, beam):
            status |= PointStatus.BEAM
            reasons.append(found)
        if status:
            self._disown()
        return Verdict(status, tuple(reasons), taken)

    def _monitor(self, energy: float, dwell: float) -> str:
        counter = self._tes.i0.counts
        try:
            counts = float(ask(counter))
        except (TimeoutError, DisconnectedError):
            raise
        except Exception as exc:  # whatever keeps it from being known makes the point doubtful
            return f"{counter.name} cannot be asked: {exc or type(exc).__name__}"
        return self._beam.monitor(energy, counts, dwell)

    # -- readings -------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """Index in the scan, and status, of the point that was judged last.

        Raises
        ------
        DeviceError
            None was.
        """
        if self._verdict is None:
            raise DeviceError(f"{self.name}: no point was judged")
        values = {
            "point": int(self._point.asked["point"]),
            "tes_point_status": int(self._verdict.status),
        }
        return {key: {"value": value, "timestamp": self._at} for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        key = {"source": self._tes.source, "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {name: dict(key) for name in ("point", "tes_point_status")}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class _Point(NamedTuple):
    """What was asked for one point."""

    asked: Mapping[str, Any]
    wanted: Sequence[tuple[PointStatus, Held]]
    expected: Expected
