"""Stages, their guards, the chamber and the cryostat, kept going together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ...physics.thermal import Chamber, Outgassing, Stage
from .._clock import Clock, InstantClock
from .._heat_faults import HeatFaults
from .._pvs import FIELDS
from ._controller import Controller
from ._eurotherm import Eurotherm2216e
from ._guard import GuardPVs
from ._lakeshore import Lakeshore336
from ._linkam import LinkamT96
from ._vacuum import ChamberPVs, CryostatPVs, analyser

__all__ = ["STAGES", "HeatWorld"]

log = logging.getLogger("redoxscope.sim")

STAGES = {"Heater:": Lakeshore336, "Linkam:": LinkamT96, "Euro:": Eurotherm2216e}
"""Prefix of each stage and what controls it. The sample lies on the first."""

READING_S = 5.0
"""How often a sensor is read, in the time of the heat (s); at most and at least so often in real
time (s)."""
_TICKS = (0.02, 0.1)
_QUIET_TICKS = 10
"""Ticks between two readings of a stage at rest, and of the vacuum."""
_COLD_K, _COLD_NOISE_K = 0.05, 2e-5


class HeatedSample(Protocol):
    """What lies on the first stage."""

    def advance(self, seconds: float, temperature_c: float) -> None:
        """Let time pass at a temperature (degC)."""
        ...

    def gas_rates(self) -> Mapping[str, float]:
        """What it gives off now, by gas (mbar l/s)."""
        ...


class HeatWorld:
    """All that is hot, or looks at what is.

    Parameters
    ----------
    prefix : str
        Start of every PV name.
    clock : Clock
        Time of the heat; a stage with an `InstantClock` is where its set point is, at once.
    sample : HeatedSample, optional
        What lies on the first stage.
    seed : int
        Of the noise.

    Attributes
    ----------
    stages : dict of str to Stage
        By prefix, as `STAGES`.
    faults : HeatFaults
    """

    def __init__(
        self, *, prefix: str, clock: Clock, sample: HeatedSample | None = None, seed: int = 1
    ):
        self._clock, self._sample, self.faults = clock, sample, HeatFaults()
        self._instant = isinstance(clock, InstantClock)
        self._at = clock.now()
        self._noise = np.random.default_rng(seed)
        self._chamber = Chamber(seed)
        self.stages: dict[str, Stage] = {}
        self._controllers: dict[str, Controller] = {}
        self._guards: dict[str, GuardPVs] = {}
        self._walls = {name: Outgassing() for name in STAGES}
        self._flow = dict.fromkeys(STAGES, 0.0)
        for number, (name, kind) in enumerate(STAGES.items()):
            stage = Stage(sample=None if number else sample, seed=seed + number)
            common: dict[str, Any] = {"stage": stage, "now": self.now, "changed": self.tell}
            self.stages[name] = stage
            self._controllers[name] = kind(
                prefix=prefix + name, silent=lambda: "silent" in self.faults, **common
            )
            self._guards[name] = GuardPVs(prefix=f"{prefix}{name}Guard:", **common)
        self._pressure = ChamberPVs(prefix=prefix + "Chamber:")
        self._cryostat = CryostatPVs(prefix=prefix + "Cryostat:")
        self._analyser = analyser(prefix + "RGA:")

    @property
    def pvdb(self) -> dict[str, Any]:
        """Every PV by name."""
        db: dict[str, Any] = {}
        groups = [*self._controllers.values(), *self._guards.values()]
        for group in [*groups, self._pressure, self._cryostat, self._analyser]:
            db.update(group.pvdb)
        return db

    async def start(self) -> None:
        """Keep it going until the process ends."""
        await self._tell_vacuum(time.time())
        task = asyncio.get_running_loop().create_task(self._run())
        task.add_done_callback(_tell_failure)
        self._task = task

    async def _run(self) -> None:
        tick = min(max(READING_S / self._clock.speed, _TICKS[0]), _TICKS[1])
        number = 0
        while True:
            await asyncio.sleep(tick)
            self.now()
            quiet = number % _QUIET_TICKS != 0
            number += 1
            await self._tell_stages(quiet)
            if not quiet:
                await self._tell_vacuum(time.time())

    def request(self, command: str) -> None:
        """Take a fault.

        Raises
        ------
        ValueError
            As `HeatFaults.request`.
        """
        self.now()
        self.faults.request(command)
        for stage in self.stages.values():
            stage.sensor_fails = "sensor_fails" in self.faults
            stage.sensor_stuck = "sensor_stuck" in self.faults
            stage.guard_sensor_fails = "guard_sensor_fails" in self.faults
            stage.runaway = "runaway" in self.faults
            left = self.faults["cannot_reach"]
            stage.power_left = 1.0 if left is None else left
        self._chamber.leak = self.faults["leak"] or 0.0

    def now(self) -> None:
        """Compute everything up to this moment."""
        then, self._at = self._at, self._clock.now()
        for name, stage in self.stages.items():
            if self._instant:
                stage.settle()
            elif self._at > then:
                before = stage.plant.block_c
                stage.advance(self._at - then)
                self._flow[name] = self._walls[name].advance(
                    self._at - then, (before + stage.plant.block_c) / 2
                )

    async def tell(self) -> None:
        """Publish it, with the stages at rest."""
        await self._tell_stages(quiet=False)
        await self._tell_vacuum(time.time())

    async def _tell_stages(self, quiet: bool) -> None:
        stamp = time.time()
        for name, stage in self.stages.items():
            if "silent" not in self.faults and not (quiet and stage.resting):
                await self._controllers[name].tell(stamp, always=not quiet)
            await self._guards[name].publish(stamp)

    async def _tell_vacuum(self, stamp: float) -> None:
        gas = {} if self._sample is None else self._sample.gas_rates()
        self._chamber.update(sum(self._flow.values()), gas)
        for number, mbar in enumerate(self._chamber.partial_mbar.values(), 1):
            channel = getattr(self._analyser, f"mid{number}")
            await channel.write(mbar, timestamp=stamp, **FIELDS)
        pressure = self._chamber.pressure_mbar
        await self._pressure.pressure.write(pressure, timestamp=stamp, **FIELDS)
        warm = self.faults["cryostat_warm"]
        kelvin = _COLD_K + _COLD_NOISE_K * float(self._noise.standard_normal())
        kelvin = kelvin if warm is None else warm
        await self._cryostat.temperature.write(kelvin, timestamp=stamp, **FIELDS)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the simulation of the heat has ended", exc_info=task.exception())
