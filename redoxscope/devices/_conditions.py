"""What has to hold while a point is measured, and whether it did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ophyd.status import Status
from ophyd.utils import DisconnectedError

from ..documents import PointStatus
from ._asked import energy_held
from ._base import DeviceError, Move, NoAnswerError, answering, ask
from ._beam_memory import BeamMemory
from ._shutter import ShutterMode
from ._watch import Expected, Held, Watch

__all__ = ["PointConditions", "Verdict", "Watched"]

LIMIT = 60.0
"""Longest time (s) for asking every PV, some of which may not answer."""


class Watched(Protocol):
    """What measures a point, and what stands beside it; parts that are not there are None."""

    name: str
    shutter: Any
    i0: Any
    ring: Any
    holder: Any
    outage: Any

    @property
    def source(self) -> str: ...

    @property
    def counters(self) -> tuple[Any, ...]: ...


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

    ``set`` begins, ``trigger`` ends and judges, ``read`` gives ``point``, and the status under
    ``status_key``. Watched are energy, undulator, sample, shutter, ring current and the
    counters' dwell, as far as the beamline has them.

    Parameters
    ----------
    whole : device
        What measures the point.
    """

    parent = None
    status_key = "tes_point_status"

    def __init__(self, whole: Watched):
        self._whole = whole
        self.name = f"{whole.name}_conditions"
        self._watch = Watch()
        self._point = _Point({}, (), {})
        self.beam = BeamMemory()
        self._verdict: Verdict | None = None
        self._at = 0.0
        self.watching = False
        """Whether a plan has it watch the point that is measured."""

    def __repr__(self) -> str:
        return f"PointConditions({self.name!r})"

    def begin_run(self) -> None:
        """Forget the beam of the run before."""
        self.beam = BeamMemory()
        self.watching = False

    def release(self) -> None:
        """Nothing must hold any more; what was judged is of a run that is over."""
        self.watching, self._verdict = False, None
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
            self._watch.ask(expected, anew=True, only=self._asked_first)
            self._answered()

        return self._in_thread("asking what holds before a point", begin)

    def _asked_first(self, held: Held) -> bool:
        """Whether a value is asked for before a point, too, and not only after it."""
        return True

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
        """The point that was measured last is not to be used; for who keeps more than events."""

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a point failed for lack of an answer; else None.

        Returns
        -------
        ophyd.status.Status or None
            Done when all that a point needs beside the detector answers again; fails with
            `DeviceError` when it does not within ``outage`` seconds.
        """
        whole = self._whole
        signals = [counter.counts for counter in whole.counters]
        if whole.shutter is not None:
            signals += [whole.shutter.status, whole.shutter.mode]
        if whole.holder is not None:
            signals.append(whole.holder.readback)
        if whole.ring is not None:
            signals.append(whole.ring.current)
        return answering(whole.name, signals, error, whole.outage.get())

    def _in_thread(self, what: str, work: Callable[[], Any]) -> Status:
        """Do what waits for servers; the RunEngine's thread must not."""
        move = Move(f"{self.name}: {what}", LIMIT)

        def step() -> None:
            work()
            move.end()

        threading.Thread(target=move.attempt, args=(step,), daemon=True, name="conditions").start()
        return move

    # -- what is wanted -------------------------------------------------------------------

    def _wanted(self, asked: Mapping[str, Any]) -> Iterator[tuple[PointStatus, Held]]:
        whole = self._whole
        for held in energy_held(asked["mono"], float(asked["energy"])):
            yield PointStatus.ENERGY, held
        if whole.holder is not None and asked["sample"] is not None:
            for signal in (whole.holder.readback, whole.holder.target):
                yield PointStatus.SAMPLE, Held(whole.holder.name, signal, str(asked["sample"]))
        yield from self._light(asked)
        for counter in whole.counters:
            dwell = float(asked["dwell"])
            yield PointStatus.COUNTER, Held(counter.name, counter.dwell, dwell, 1e-5 * dwell, "s")
        if whole.ring is not None:
            yield PointStatus.BEAM, Held(whole.ring.name, whole.ring.current, None)

    def _light(self, asked: Mapping[str, Any]) -> Iterator[tuple[PointStatus, Held]]:
        shutter = self._whole.shutter
        if shutter is None:
            return
        wanted = [
            (shutter.status, 1, "open"),
            (shutter.mode, int(ShutterMode.HOLD), "held open for this scan"),
        ]
        if shutter.command.get() == 1:  # it may be one that goes back to 0 by itself
            wanted.append((shutter.command, 1, "to open"))
        for signal, value, meaning in wanted:
            yield PointStatus.SHUTTER, Held(shutter.name, signal, value, meaning=meaning)

    # -- what was -------------------------------------------------------------------------

    def _judged(self, point: _Point, seen: Mapping[Any, str]) -> Verdict:
        whole, status, reasons, taken = self._whole, PointStatus.OK, [], ""
        for flag, held in point.wanted:
            if found := seen.get(held.signal):
                status |= flag
                reasons.append(found)
                if whole.shutter is not None and held.signal in (
                    whole.shutter.mode,
                    whole.shutter.command,
                ):
                    taken = taken or found
        asked, beam = point.asked, []
        if whole.ring is not None and whole.ring.current not in seen:
            beam.append(self.beam.current(self._watch.came(whole.ring.current)))
        if whole.i0 is not None and not status & (PointStatus.COUNTER | PointStatus.ENERGY):
            beam.append(self._monitor(asked))
        for found in filter(None, beam):
            status |= PointStatus.BEAM
            reasons.append(found)
        if status:
            self._disown()
        return Verdict(status, tuple(reasons), taken)

    def _monitor(self, asked: Mapping[str, Any]) -> str:
        """What is wrong with the beam monitor of the point that is over; "" where nothing is."""
        energy, dwell = float(asked["energy"]), float(asked["dwell"])
        counter = self._whole.i0.counts
        try:
            counts = float(ask(counter))
        except (TimeoutError, DisconnectedError):
            raise
        except Exception as exc:  # whatever keeps it from being known makes the point doubtful
            return f"{counter.name} cannot be asked: {exc or type(exc).__name__}"
        return self.beam.monitor(energy, counts, dwell)

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
            self.status_key: int(self._verdict.status),
        }
        return {key: {"value": value, "timestamp": self._at} for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        key = {"source": self._whole.source, "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {name: dict(key) for name in ("point", self.status_key)}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class _Point(NamedTuple):
    """What was asked for one point."""

    asked: Mapping[str, Any]
    wanted: Sequence[tuple[PointStatus, Held]]
    expected: Expected
