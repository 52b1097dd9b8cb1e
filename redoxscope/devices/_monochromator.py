"""Monochromator and undulator: the photon energy."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, Signal
from ophyd.signal import DerivedSignal
from ophyd.status import Status
from ophyd.utils import LimitError, ReadOnlyError

from ..data import EDGES
from ..inputs import is_number, suggestion
from ._base import (
    SETTLE_TIMEOUT,
    BeamlineDevice,
    DeviceError,
    Move,
    answering,
    fail_when_lost,
    published,
    put_now,
    pv,
)
from ._numbers import finite, number, positive
from ._positioner import FreshSignal, FreshSignalRO, Positioner, check_limits, common_limits
from ._setting import Setting
from ._timers import call_later
from ._watch import ask_all
from ._watched import Way, watchable

__all__ = ["Monochromator"]

MONITOR_TIMEOUT = 0.05
"""Time (s) for the readbacks' monitors to follow the completion of a move."""


class _TrueEnergy(DerivedSignal):
    """Photon energy (eV): what the encoder says plus the offset found at this edge."""

    def inverse(self, value: float) -> float:
        return float(value) + float(self.parent.offset.get())

    def read(self) -> dict[str, dict[str, Any]]:
        """As the server has it now."""
        (raw,) = self.parent.readback.read().values()
        return {self.name: {**raw, "value": self.inverse(raw["value"])}}

    def describe(self) -> dict[str, dict[str, Any]]:
        """In eV, whatever the PV says of itself: motor records of energies often say µm, or none.

        That it is in eV is the contract.
        """
        keys: dict[str, dict[str, Any]] = super().describe()
        keys[self.name]["units"] = "eV"
        return keys


class _Offset(Signal):
    """True minus monochromator energy (eV): of the edge, and the user's own."""

    def get(self, **kwargs: Any) -> float:
        offset: float = self.parent.offset_at(self.parent.edge.get())
        return offset

    def put(self, value: Any, **kwargs: Any) -> None:
        mono = self.parent.name
        raise ReadOnlyError(
            f"{self.name} is the sum of the edge's offset ({mono}.edge) and your own: "
            f"set {mono}.user_offset (eV)"
        )

    def set(self, value: Any, **kwargs: Any) -> Status:
        self.put(value)
        raise AssertionError


def _edge(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be the name of an edge, or empty")
    if value and value not in EDGES and f"{value}3" not in EDGES:
        known = ", ".join(EDGES)
        raise ValueError(f"is none of {known}, nor empty{suggestion(value, EDGES)}")
    return value


class Monochromator(Positioner, BeamlineDevice):
    """Energy positioner: monochromator and EPU moved together, in true photon energy.

    ``true energy = monochromator energy + offset``. The offset is that of the edge at which one
    measures (``edge``, set by plans and set back by them; 0 where none was measured) plus
    ``user_offset``, which is the user's and which no plan touches.

    Parameters
    ----------
    edge_offsets : mapping of str to float, optional
        Offset (eV) by edge name, e.g. ``{"Mn L3": 0.35}``. A whole edge, ``"Mn L"``, has that
        of its L3.
    backlash : float
        When not 0, every move ends by coming from ``target - backlash`` (eV), so always from
        one side.
    tolerance, epu_tolerance : float
        Largest distance (eV) of monochromator and EPU from the target at the end of a move.
    """

    energy = Cpt(_TrueEnergy, derived_from="readback", kind="hinted", doc="true energy (eV)")
    readback = pv(FreshSignalRO, "Energy:RBV", kind="normal", auto_monitor=True, doc="mono, eV")
    setpoint = pv(
        FreshSignal, "Energy", kind="normal", auto_monitor=True, put_complete=True, doc="mono, eV"
    )
    epu_setpoint = pv(
        FreshSignal, "EPU", kind="normal", auto_monitor=True, put_complete=True, doc="EPU, eV"
    )
    epu_readback = pv(FreshSignalRO, "EPU:RBV", kind="normal", auto_monitor=True, doc="EPU, eV")
    velocity = pv(FreshSignalRO, "Velocity", kind="config", auto_monitor=True, doc="eV/s")
    settle = pv(FreshSignalRO, "Settle", kind="config", auto_monitor=True, doc="after a move, s")
    halt = pv(EpicsSignal, "Stop", kind="omitted", doc="1 stops monochromator and EPU")
    edge = Cpt(Setting, value="", check=_edge, kind="config", doc="edge whose offset applies")
    user_offset = Cpt(
        Setting, value=0.0, check=finite, unit="eV", kind="config", doc="added to the edge's"
    )
    offset = Cpt(_Offset, value=0.0, kind="config", doc="true minus monochromator energy (eV)")
    backlash = Cpt(
        Setting, value=0.0, check=finite, unit="eV", kind="config",
        doc="approach from this far below",
    )  # fmt: skip

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        edge_offsets: Mapping[str, float] | None = None,
        backlash: float = 0.0,
        tolerance: float = 0.02,
        epu_tolerance: float = 0.5,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"motors"})
        self.edge_offsets = {  # first: monitors that come meanwhile ask for the offset
            edge: number(f"{name}.edge_offsets[{edge!r}]", finite(offset), "eV")
            for edge, offset in (edge_offsets or {}).items()
        }
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.energy.name = "energy"
        self.backlash.put(backlash)
        self.tolerance, self.epu_tolerance = positive(tolerance), positive(epu_tolerance)
        self._move: Move | None = None
        self._orders = threading.RLock()
        self.sent_to: float | None = None  # true energy (eV) to which this client sent it last
        fail_when_lost(self.pair, self._end_move)

    @property
    def axes(self) -> tuple[tuple[str, Any, Any, float], ...]:
        """What moves with the energy: name, set point, readback, tolerance (eV); itself first."""
        return (
            ("energy", self.setpoint, self.readback, self.tolerance),
            ("epu", self.epu_setpoint, self.epu_readback, self.epu_tolerance),
        )

    @property
    def pair(self) -> tuple[Signal, ...]:
        """Set points and readbacks of all that moves with the energy."""
        return tuple(signal for _, put, read, _ in self.axes for signal in (put, read))

    @property
    def position(self) -> float:
        """True photon energy (eV)."""
        return float(self.energy.get())

    @property
    def egu(self) -> str:
        """Unit of the energy."""
        return "eV"

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest true energy (eV) with the present offset and backlash."""
        low, high = common_limits(*(setpoint.limits for _, setpoint, _, _ in self.axes))
        offset, backlash = self.offset.get(), self.backlash.get()
        return low + offset + max(backlash, 0.0), high + offset + min(backlash, 0.0)

    def offset_at(self, edge: str | None) -> float:
        """Offset (eV) that applies at an edge: the edge's own where it is known, plus the user's.

        The one rule for all plans; it does not depend on what was measured before.
        """
        known = [name for name in (edge, f"{edge}3") if name in self.edge_offsets]
        own = self.edge_offsets[known[0]] if edge and known else 0.0
        return own + float(self.user_offset.get())

    def set_edge_offset(self, edge: str, offset: float | None) -> None:
        """Say what the offset at an edge is; nothing moves, the next move goes by it.

        Parameters
        ----------
        edge : str
            E.g. ``"Mn L3"``.
        offset : float or None
            True minus monochromator energy (eV); None: not known, which counts as 0.

        Raises
        ------
        ValueError
            No such edge, or no finite number.
        """
        try:
            known = _edge(edge)
        except ValueError as exc:
            raise ValueError(f"{self.name}: edge = {edge!r} {exc}") from exc
        if not known:
            raise ValueError(f"{self.name}: an offset belongs to an edge, and none is named")
        if offset is None:
            self.edge_offsets.pop(edge, None)
        else:
            self.edge_offsets[edge] = number(
                f"{self.name}.edge_offsets[{edge!r}]", finite(offset), "eV"
            )

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of what plans are given, by the parameter: energies (eV), at whichever edge.

        Empty where nothing may be moved.
        """
        low, high = self.limits
        if not low < high:  # NaN, too
            return {}
        offsets = [self.offset_at(edge) for edge in (None, *self.edge_offsets)]
        here = self.offset.get()
        pair = (low - here + min(offsets), high - here + max(offsets))
        return dict.fromkeys(("energy", "energies", "dose_check"), pair)

    def check_value(self, energy: float, *, offset: float | None = None) -> None:
        """Refuse a true energy (eV) whose approach leaves the soft limits.

        Raises
        ------
        ophyd.utils.LimitError
            Outside the limits, NaN, or no limits published.
        ValueError
            No number.
        DeviceError
            A velocity or a settling time with which it never arrives.
        """
        energy = number(f"{self.name}.energy", energy, "eV")
        mono = energy - (self.offset.get() if offset is None else offset)
        low, high = limits = self.setpoint.limits
        for step in {mono - self.backlash.get(), mono}:
            try:
                check_limits(f"{self.name}.energy", step, limits, "eV")
            except LimitError as exc:
                if not (is_number(low) and is_number(high) and low <= 1000 * energy <= high):
                    raise
                meant = f"energies are in eV: did you mean {1000 * energy:g} eV?"
                raise LimitError(f"{exc}; {meant}") from exc
        for axis, setpoint, _, _ in self.axes[1:]:
            check_limits(f"{self.name}.{axis}", mono, setpoint.limits, "eV")
        self.time_to(energy, energy)

    def time_to(self, target: float, start: float | None = None) -> float:
        """Time (s) that the controller declares for a move of the energy; nothing moves.

        With a backlash the monochromator takes two ways, and settles after each. The EPU goes
        the straight way meanwhile, and settles once: it is never later.

        Parameters
        ----------
        target, start : float
            True energies (eV); ``start`` is where it stands by default.

        Raises
        ------
        DeviceError
            It declares none: velocity not above 0, or a settling time that is none.
        """
        velocity = published(self.velocity, "eV/s")
        settle = published(self.settle, "s", zero=True)
        here = self.position if start is None else start
        backlash = self.backlash.get()
        first = target - backlash
        legs = [abs(first - here), *([abs(backlash)] if backlash else [])]
        return sum(leg / velocity + settle for leg in legs)

    def set(self, energy: float) -> Status:
        """Move monochromator and EPU to a true photon energy (eV).

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` when one of the two did not get there.
        """
        energy = number(f"{self.name}.energy", energy, "eV")
        self.check_value(energy)
        self.sent_to = energy
        target = energy - self.offset.get()
        approach = self.backlash.get()
        first = target - approach
        here = self.position
        seconds = self.time_to(energy, here)
        what = f"{self.name} ({self.setpoint.pvname}) going to {energy:.6g} eV"
        self._end_move(DeviceError(f"{what} instead"))
        move = Move(what, 2 * seconds + SETTLE_TIMEOUT)
        self._move = move
        legs = len(self.axes)  # in parallel
        lock = threading.Lock()

        def leg_done(**_: Any) -> None:
            nonlocal legs
            with lock:
                legs -= 1
                last = legs == 0
            if last and not move.done:
                move.attempt(lambda: self._completed(move, energy))

        def second_approach(**_: Any) -> None:
            with self._orders:  # a halt must not be overtaken
                if not move.done:
                    move.attempt(lambda: self.setpoint.put(target, callback=leg_done))

        try:
            for _, setpoint, _, _ in self.axes[1:]:
                setpoint.put(target, callback=leg_done)
            self.setpoint.put(first, callback=second_approach if approach else leg_done)
        except Exception as exc:
            move.end(exc)
            raise
        way = Way(self.name, "eV", here, energy, seconds, partial(getattr, self, "position"))
        return watchable(move, way)

    def _completed(self, move: Move, energy: float) -> None:
        """Both say that they are there; their readbacks may still be on their way."""

        def look(**_: Any) -> None:
            if self._astray(energy, use_monitor=True) is None:
                move.end()

        def judge() -> None:
            move.end(self._astray(energy, use_monitor=False))

        # Anew: the last monitor may be of a time when it was here before.
        if self._astray(energy, use_monitor=False) is None:
            move.end()
            return
        for _, _, readback, _ in self.axes:
            readback.subscribe(look, run=False)
        # A controller's readback may lag behind its completion.
        patience = call_later(
            MONITOR_TIMEOUT,
            lambda: threading.Thread(target=move.attempt, args=(judge,), daemon=True).start(),
        )

        def clear(_: Status) -> None:
            patience.cancel()
            for _, _, readback, _ in self.axes:
                readback.clear_sub(look)

        move.add_callback(clear)

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a move failed for lack of an answer; else None.

        Returns
        -------
        ophyd.status.Status or None
            Done when set points and readbacks answer again; fails with `DeviceError` when they do
            not within 60 s.
        """
        return answering(self.name, self.pair, error)

    def at(self, energy: float) -> bool:
        """Whether monochromator and EPU stand at a true energy (eV), by their last monitors."""
        return self._astray(energy, use_monitor=True) is None

    def _astray(self, energy: float, *, use_monitor: bool) -> DeviceError | None:
        """What is not at a true energy (eV)."""
        target = energy - self.offset.get()
        readbacks = [readback for _, _, readback, _ in self.axes]
        here = [one.get() for one in readbacks] if use_monitor else ask_all(readbacks)
        for (_, _, readback, tolerance), value in zip(self.axes, here, strict=True):
            off = abs(value - target)
            if not off <= tolerance:
                return DeviceError(
                    f"{self.name} ({readback.pvname}) is {off:.3g} eV from its target "
                    f"{energy:.6g} eV (tolerance {tolerance:g} eV)"
                )
        return None

    def _end_move(self, error: Exception | None) -> None:
        move = self._move
        if move is not None:
            move.end(error)

    def stop(self, *, success: bool = False) -> None:
        """Stop; with ``success`` (the RunEngine pausing) the move does not count as failed."""
        with self._orders:
            self._end_move(None if success else DeviceError(f"{self.name} was stopped"))
            put_now(self.halt, 1)
