"""Monochromator and undulator: the photon energy."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.signal import DerivedSignal
from ophyd.status import Status

from ._base import SETTLE_TIMEOUT, BeamlineDevice, DeviceError, Move, fail_when_lost, put_now, pv
from ._motor import check_limits
from ._timers import call_later

__all__ = ["Monochromator"]

MONITOR_TIMEOUT = 0.05
"""Time (s) for the readbacks' monitors to follow the completion of a move."""


class _TrueEnergy(DerivedSignal):
    """Photon energy (eV): what the encoder says plus the offset found at this edge."""

    def inverse(self, value: float) -> float:
        return float(value) + float(self.parent.offset.get())


class Monochromator(BeamlineDevice):
    """Energy positioner: monochromator and EPU moved together, in true photon energy.

    ``true energy = monochromator energy + offset``; the offset is a property of the edge at
    which a reference sample was measured, so plans set it from ``edge_offsets``.

    Parameters
    ----------
    edge_offsets : mapping of str to float, optional
        Offset (eV) by edge name, e.g. ``{"Mn L3": 0.35}``.
    backlash : float
        When not 0, every move ends by coming from ``target - backlash`` (eV), so always from
        one side.
    tolerance, epu_tolerance : float
        Largest distance (eV) of monochromator and EPU from the target at the end of a move.
    """

    energy = Cpt(_TrueEnergy, derived_from="readback", kind="hinted", doc="true energy (eV)")
    readback = pv(EpicsSignalRO, "Energy:RBV", kind="normal", auto_monitor=True, doc="mono, eV")
    setpoint = pv(
        EpicsSignal, "Energy", kind="normal", auto_monitor=True, put_complete=True, doc="mono, eV"
    )
    epu_setpoint = pv(
        EpicsSignal, "EPU", kind="normal", auto_monitor=True, put_complete=True, doc="EPU, eV"
    )
    epu_readback = pv(EpicsSignalRO, "EPU:RBV", kind="normal", auto_monitor=True, doc="EPU, eV")
    velocity = pv(EpicsSignalRO, "Velocity", kind="config", auto_monitor=True, doc="eV/s")
    settle = pv(EpicsSignalRO, "Settle", kind="config", auto_monitor=True, doc="after a move, s")
    halt = pv(EpicsSignal, "Stop", kind="omitted", doc="1 stops monochromator and EPU")
    offset = Cpt(Signal, value=0.0, kind="config", doc="true minus monochromator energy (eV)")
    backlash = Cpt(Signal, value=0.0, kind="config", doc="approach from this far below (eV)")

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
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.energy.name = "energy"
        self.edge_offsets = dict(edge_offsets or {})
        self.backlash.put(backlash)
        self.tolerance, self.epu_tolerance = tolerance, epu_tolerance
        self._move: Move | None = None
        fail_when_lost(
            (self.setpoint, self.readback, self.epu_setpoint, self.epu_readback), self._end_move
        )

    @property
    def position(self) -> float:
        """True photon energy (eV)."""
        return float(self.energy.get())

    def offset_at(self, edge: str | None) -> float:
        """Offset (eV) found at an edge; where none was measured, the present one."""
        return float(self.edge_offsets.get(edge or "", self.offset.get()))

    def check_value(self, energy: float, *, offset: float | None = None) -> None:
        """Refuse a true energy (eV) whose approach leaves the soft limits.

        Raises
        ------
        ophyd.utils.LimitError
        """
        mono = energy - (self.offset.get() if offset is None else offset)
        for step in {mono - self.backlash.get(), mono}:
            check_limits(f"{self.name}.energy", step, self.setpoint.limits, "eV")
        check_limits(f"{self.name}.epu", mono, self.epu_setpoint.limits, "eV")

    def move_time(self, start: float, end: float) -> float:
        """Time (s) that the controller declares for a move between two energies (eV)."""
        return abs(end - start) / self.velocity.get() + self.settle.get()

    def set(self, energy: float) -> Status:
        """Move monochromator and EPU to a true photon energy (eV).

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` when one of the two did not get there.
        """
        self.check_value(energy)
        target = energy - self.offset.get()
        approach = self.backlash.get()
        first = target - approach
        seconds = self.move_time(self.readback.get(), first) + self.move_time(first, target)
        what = f"{self.name} ({self.setpoint.pvname}) going to {energy:.6g} eV"
        self._end_move(DeviceError(f"{what} instead"))
        move = Move(what, 2 * seconds + SETTLE_TIMEOUT)
        self._move = move
        legs = 2  # monochromator and EPU, in parallel
        lock = threading.Lock()

        def leg_done(**_: Any) -> None:
            nonlocal legs
            with lock:
                legs -= 1
                last = legs == 0
            if last and not move.done:
                move.attempt(lambda: self._completed(move, energy))

        def second_approach(**_: Any) -> None:
            if not move.done:
                move.attempt(lambda: self.setpoint.put(target, callback=leg_done))

        try:
            self.epu_setpoint.put(target, callback=leg_done)
            self.setpoint.put(first, callback=second_approach if approach else leg_done)
        except Exception as exc:
            move.end(exc)
            raise
        return move

    def _completed(self, move: Move, energy: float) -> None:
        """Both say that they are there; their readbacks may still be on their way."""

        def look(**_: Any) -> None:
            if self._astray(energy, use_monitor=True) is None:
                move.end()

        def judge() -> None:
            move.end(self._astray(energy, use_monitor=False))

        if self._astray(energy, use_monitor=True) is None:
            move.end()
            return
        for readback in (self.readback, self.epu_readback):
            readback.subscribe(look, run=False)
        # To ask anew costs a round trip, and blocks: only when no monitor comes.
        patience = call_later(
            MONITOR_TIMEOUT,
            lambda: threading.Thread(target=move.attempt, args=(judge,), daemon=True).start(),
        )

        def clear(_: Status) -> None:
            patience.cancel()
            for readback in (self.readback, self.epu_readback):
                readback.clear_sub(look)

        move.add_callback(clear)
        look()

    def at(self, energy: float) -> bool:
        """Whether monochromator and EPU stand at a true energy (eV), by their last monitors."""
        return self._astray(energy, use_monitor=True) is None

    def _astray(self, energy: float, *, use_monitor: bool) -> DeviceError | None:
        """What is not at a true energy (eV)."""
        target = energy - self.offset.get()
        for readback, tolerance in (
            (self.readback, self.tolerance),
            (self.epu_readback, self.epu_tolerance),
        ):
            off = abs(readback.get(use_monitor=use_monitor) - target)
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
        self._end_move(None if success else DeviceError(f"{self.name} was stopped"))
        put_now(self.halt, 1)
