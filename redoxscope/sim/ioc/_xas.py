"""PVs of the electrometer of the absorption station; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from ..physics.heated import ON_STAGE
from ._clock import Clock
from ._pvs import FIELDS

__all__ = ["Electrometer", "Sweep", "XASBeam"]

log = logging.getLogger("redoxscope.sim")

CHARGE = 1.602e-19
FLUX = 2e11
"""Photons/s on the sample at full current: without the microscope's zone plate."""
MESH_YIELD = 0.01
"""Electrons of the gold mesh for each photon that reaches the sample."""
OFFSETS = (2e-13, 3e-13, -1e-13, 1e-13)
"""What each channel says without light (A)."""
NOISE = (0.02, 0.02, 0.03, 0.0)
"""Standard deviation of one reading over the current, by channel, besides the beam's."""
BEAM_NOISE = 0.005
"""The same of the beam, which all channels see."""
READING_NOISE = 5e-13
"""Standard deviation of one reading without light (A)."""
CHANNELS = 4
MAX_LINE = 2000
"""Most points of a line."""
PLATE = {"TEY": 0.02, "TFY": 0.0}
"""Electrons for each photon, of a holder's position with nothing that this model knows."""


class XASBeam:
    """Currents of mesh, sample and photodiode, from what the sample's model says.

    Parameters
    ----------
    bench : Bench
    """

    def __init__(self, bench: Any):
        self._bench = bench

    def currents(self, at: float | None = None) -> np.ndarray:
        """Current of each channel now (A), without noise and offset; ``at`` another energy (eV)."""
        energy, share = self._bench.beam_now
        energy = energy if at is None else at
        amperes = CHARGE * FLUX * share
        if not amperes:
            return np.zeros(CHANNELS)
        here, seen = self._bench.holder.modelled, {"TEY": 0.0, "TFY": 0.0}
        if here == ON_STAGE:
            seen = self._bench.sample.yields(energy)
        elif here is not None:
            seen = PLATE
        mesh = MESH_YIELD * (1 + 0.04 * np.sin(energy / 25.0))  # a mesh has a spectrum, too
        return amperes * np.array([mesh, seen["TEY"], seen["TFY"], 0.0])


def noisy(
    rng: np.random.Generator, currents: np.ndarray, readings: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of so many readings (A), drawn without drawing each."""
    own = np.hypot(np.array(NOISE) * currents, READING_NOISE)
    beam = BEAM_NOISE * currents
    drawn = rng.standard_normal(CHANNELS + 1) / np.sqrt(readings)
    means = currents + OFFSETS + own * drawn[:-1] + beam * drawn[-1]
    if readings < 2:
        return means, np.zeros(CHANNELS)
    spread = np.sqrt(rng.chisquare(readings - 1, CHANNELS) / (readings - 1))
    return means, np.hypot(own, beam) * spread


class Electrometer(PVGroup):
    """quadEM as far as a point needs it: the mean of an acquisition in mode *Single*."""

    averaging_time = pvproperty(name="AveragingTime", value=0.1, units="s", precision=4)
    sample_time = pvproperty(
        name="SampleTime_RBV", value=0.001, units="s", precision=6, read_only=True
    )
    acquire_mode = pvproperty(
        name="AcquireMode",
        value="Continuous",
        dtype=ChannelType.ENUM,
        enum_strings=["Continuous", "Multiple", "Single"],
    )
    acquire = pvproperty(name="Acquire", value=0, dtype=int)
    averaged = pvproperty(name="NumAveraged_RBV", value=0, dtype=int, read_only=True)
    mean1 = pvproperty(name="Current1:MeanValue_RBV", value=0.0, units="A", read_only=True)
    mean2 = pvproperty(name="Current2:MeanValue_RBV", value=0.0, units="A", read_only=True)
    mean3 = pvproperty(name="Current3:MeanValue_RBV", value=0.0, units="A", read_only=True)
    mean4 = pvproperty(name="Current4:MeanValue_RBV", value=0.0, units="A", read_only=True)
    spread1 = pvproperty(name="Current1:Sigma_RBV", value=0.0, units="A", read_only=True)
    spread2 = pvproperty(name="Current2:Sigma_RBV", value=0.0, units="A", read_only=True)
    spread3 = pvproperty(name="Current3:Sigma_RBV", value=0.0, units="A", read_only=True)
    spread4 = pvproperty(name="Current4:Sigma_RBV", value=0.0, units="A", read_only=True)

    def __init__(self, *args: Any, beam: XASBeam, clock: Clock, seed: int = 1, **kw: Any):
        super().__init__(*args, **kw)
        self._beam, self._clock = beam, clock
        self._rng = np.random.default_rng([seed, 4711])
        self._halted = asyncio.Event()

    @acquire.putter
    async def acquire(self, instance: Any, value: int) -> int:
        self._halted.set()
        if not value:
            return 0
        self._halted = halted = asyncio.Event()
        dwell = float(self.averaging_time.value)
        before = self._beam.currents()
        if not await self._clock.unless(halted, dwell):
            await self._publish((before + self._beam.currents()) / 2, dwell)
        return 0

    async def _publish(self, currents: np.ndarray, dwell: float) -> None:
        readings = max(round(dwell / self.sample_time.value), 1)
        means, spreads = noisy(self._rng, currents, readings)
        now = time.time()
        await self.averaged.write(readings, timestamp=now, **FIELDS)
        for channel in range(CHANNELS):
            for kind, values in (("spread", spreads), ("mean", means)):
                pv = getattr(self, f"{kind}{channel + 1}")
                await pv.write(float(values[channel]), timestamp=now, **FIELDS)


class Sweep(PVGroup):
    """Moves the energy evenly and measures the channels of the electrometer meanwhile."""

    begin = pvproperty(name="Start", value=640.0, units="eV", precision=4)
    end = pvproperty(name="Stop", value=640.0, units="eV", precision=4)
    points = pvproperty(name="Points", value=1, dtype=int)
    dwell = pvproperty(name="Dwell", value=0.1, units="s", precision=4)
    go = pvproperty(name="Go", value=0, dtype=int)
    abort = pvproperty(name="Abort", value=0, dtype=int)
    state = pvproperty(name="State", value=0, dtype=int, read_only=True)
    message = pvproperty(name="Message", value="", dtype=ChannelType.STRING, read_only=True)
    max_points = pvproperty(name="MaxPoints", value=MAX_LINE, dtype=int, read_only=True)
    min_dwell = pvproperty(name="MinDwell", value=0.005, units="s", read_only=True)
    max_velocity = pvproperty(name="MaxVelocity", value=10.0, units="eV/s", read_only=True)
    settle = pvproperty(name="Settle", value=0.2, units="s", read_only=True)
    energy = pvproperty(name="Energy", value=[0.0], max_length=MAX_LINE, units="eV", read_only=True)
    mean1 = pvproperty(name="Mean1", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    mean2 = pvproperty(name="Mean2", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    mean3 = pvproperty(name="Mean3", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    mean4 = pvproperty(name="Mean4", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    sigma1 = pvproperty(name="Sigma1", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    sigma2 = pvproperty(name="Sigma2", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    sigma3 = pvproperty(name="Sigma3", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    sigma4 = pvproperty(name="Sigma4", value=[0.0], max_length=MAX_LINE, units="A", read_only=True)
    index = pvproperty(name="Index", value=0, dtype=int, read_only=True)

    def __init__(
        self,
        *args: Any,
        beam: XASBeam,
        mono: Any,
        clock: Clock,
        true: Any,
        seed: int = 1,
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self._beam, self._mono, self._clock, self._true = beam, mono, clock, true
        self._rng = np.random.default_rng([seed, 4712])
        self._task: asyncio.Task[None] | None = None

    @go.putter
    async def go(self, instance: Any, value: int) -> int:
        if value:
            await self._end()
            await self.state.write(1, **FIELDS)
            self._task = asyncio.create_task(self._fly())
        return 0

    @abort.putter
    async def abort(self, instance: Any, value: int) -> int:
        if value:
            await self._end()
            await self.state.write(0, **FIELDS)
        return 0

    async def _end(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _fly(self) -> None:
        try:
            energies = np.linspace(self.begin.value, self.end.value, int(self.points.value))
            low, high = self._mono.setpoint.lower_ctrl_limit, self._mono.setpoint.upper_ctrl_limit
            if not (low <= energies.min() and energies.max() <= high):
                raise ValueError(f"energies beyond {low:g} to {high:g} eV")
            rows = []
            dwell = float(self.dwell.value)
            begin = self._clock.now() + float(self.settle.value)
            readings = max(round(dwell / 0.001), 1)
            for i, energy in enumerate(energies):
                await self._clock.sleep_until(begin + (i + 1) * dwell)
                current = self._beam.currents(self._true(float(energy)))
                means, spreads = noisy(self._rng, current, readings)
                rows.append((means, spreads / np.sqrt(readings)))
            await self._mono.stand_at(float(energies[-1]))
            await self._publish(energies, np.array(rows))
            await self.state.write(0, **FIELDS)
        except Exception as exc:
            log.exception("the sweep failed")
            await self.message.write(f"{exc}"[:39], **FIELDS)
            await self.state.write(2, **FIELDS)

    async def _publish(self, energies: np.ndarray, rows: np.ndarray) -> None:
        now = time.time()
        await self.energy.write(energies, timestamp=now, **FIELDS)
        for channel in range(CHANNELS):
            for kind, part in (("mean", 0), ("sigma", 1)):
                pv = getattr(self, f"{kind}{channel + 1}")
                await pv.write(rows[:, part, channel], timestamp=now, **FIELDS)
        await self.index.write(self.index.value + 1, timestamp=now, **FIELDS)
