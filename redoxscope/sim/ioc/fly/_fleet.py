"""The fleet as one piece: motors, counters, shutter and FLY group on one beamline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from caproto.server import PVGroup

from .._fly_faults import FlyFaults
from ._daq import Daq
from ._motor import EnergyDrive, MotorDrive, fleet_motor
from ._service import fly_service
from ._shutter import FleetShutter

__all__ = ["DAQS", "Fleet"]

DAQS = {"default": "transmission", "i0": "i0"}
"""Key of each counter in the fleet, and what it counts."""

MOTORS = {
    "E712:SampleX": "Sample:FineX",
    "E712:SampleY": "Sample:FineY",
    "E712:CoarseX": "Sample:X",
    "E712:CoarseY": "Sample:Y",
    "XER:ZonePlateZ": "ZP:Z",
    "MCL:OSAX": "OSA:X",
    "MCL:OSAY": "OSA:Y",
    "MCL:OSAZ": "OSA:Z",
}
"""Names in the fleet of the beamline's motors."""


class Fleet:
    """Serves a beamline by the names and rules of the FLY contract.

    Parameters
    ----------
    bench : Bench
        The beamline: its axes, blade and model are the fleet's too.
    prefix : str
        Start of every PV name, e.g. ``"STXMSIM:"``.
    poll : float
        Time (real s) between two looks of the services at what they wait for. Theirs take 20 ms.
    margin : float
        What a line may take beyond four times its live time (real s). Theirs: 5 s.
    """

    def __init__(self, bench: Any, *, prefix: str, poll: float = 0.02, margin: float = 5.0):
        self._bench = bench
        self.faults = FlyFaults()
        self._axis, self._points, self._lit = "x", np.zeros(0), False
        self._began = 0.0
        self._counted: dict[tuple[int, float], dict[str, np.ndarray]] = {}
        self.motors = {
            name: fleet_motor(_limits(bench.motors[of]), bench.velocity(of))(
                prefix=prefix + name, drive=MotorDrive(bench.motors[of]), poll=poll
            )
            for name, of in MOTORS.items()
        }
        mono = bench.mono
        energy = fleet_motor(
            lambda: (mono.setpoint.lower_ctrl_limit, mono.setpoint.upper_ctrl_limit),
            float(bench.energy_velocity),
        )
        self.motors["XPS:energy"] = energy(
            prefix=prefix + "XPS:energy", drive=EnergyDrive(mono), poll=poll
        )
        self.daqs = [
            Daq(
                prefix=f"{prefix}{key.upper()}:",
                key=key,
                source=self,
                clock=bench.clock,
                margin=margin,
            )
            for key in DAQS
        ]
        self.shutter = FleetShutter(prefix=prefix + "SHUTTER1:", blade=bench.shutter)
        self.fly = fly_service(list(DAQS))(
            prefix=prefix + "E712:FLY:",
            daqs=self.daqs,
            shutters=[self.shutter],
            limits={axis: _limits(bench.motors[f"Sample:Fine{axis.upper()}"]) for axis in "xy"},
            sky=self,
            clock=bench.clock,
            faults=self.faults,
            poll=poll,
        )

    @property
    def pvdb(self) -> dict[str, Any]:
        """Every PV by name."""
        db: dict[str, Any] = {}
        groups: list[PVGroup] = [*self.motors.values(), *self.daqs, self.shutter, self.fly]
        for group in groups:
            db.update(group.pvdb)
        return db

    # -- what there is to count -------------------------------------------------------------

    async def ready(self) -> None:
        await self._bench.ready()

    def begin(self, axis: str, points: np.ndarray) -> None:
        self._axis, self._points, self._lit = axis, points, self.shutter.is_open
        self._began = self._bench.clock.now()
        self._counted.clear()

    def end(self) -> None:
        self._points = np.zeros(0)
        self._counted.clear()

    def line(self, key: str, n: int, dwell: float) -> np.ndarray:
        """Counts of every counter come from the same light, so they are drawn together."""
        if (n, dwell) not in self._counted:
            points, lit, began = self._points, self._lit, self._began
            if points.size:  # beyond the line the axis stands at its end
                points = points[np.minimum(np.arange(n), points.size - 1)]
            else:  # a line of somebody else: the stage stands
                stage = self._bench.motors[f"Sample:Fine{self._axis.upper()}"]
                points, lit = np.full(n, stage.position), self._bench.shutter.is_open
                began = self._bench.clock.now()
            counts = self._bench.line_along(self._axis, points, dwell, began, lit)
            if not self._points.size:
                return counts[DAQS[key]]
            self._counted[n, dwell] = counts
        return self._counted[n, dwell][DAQS[key]]

    async def point(self, key: str, dwell: float) -> float:
        return float(await self._bench.count_point(DAQS[key], dwell))


def _limits(axis: Any) -> Callable[[], tuple[float, float]]:
    return lambda: (axis.motor.lower_ctrl_limit, axis.motor.upper_ctrl_limit)
