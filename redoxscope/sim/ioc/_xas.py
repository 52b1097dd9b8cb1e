"""PVs of the electrometer of the absorption station; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from ..physics.heated import ON_STAGE
from ._clock import Clock
from ._pvs import FIELDS

__all__ = ["Electrometer", "XASBeam"]

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

    def currents(self) -> np.ndarray:
        """Current of each channel now (A), without noise and offset."""
        energy, share = self._bench.beam_now
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
        means, spreads = self.noisy(currents, readings)
        now = time.time()
        await self.averaged.write(readings, timestamp=now, **FIELDS)
        for channel in range(CHANNELS):
            for kind, values in (("spread", spreads), ("mean", means)):
                pv = getattr(self, f"{kind}{channel + 1}")
                await pv.write(float(values[channel]), timestamp=now, **FIELDS)

    def noisy(self, currents: np.ndarray, readings: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of so many readings (A), drawn without drawing each."""
        own = np.hypot(np.array(NOISE) * currents, READING_NOISE)
        beam = BEAM_NOISE * currents
        drawn = self._rng.standard_normal(CHANNELS + 1) / np.sqrt(readings)
        means = currents + OFFSETS + own * drawn[:-1] + beam * drawn[-1]
        spreads = np.hypot(own, beam)
        if readings > 1:
            spreads = spreads * np.sqrt(self._rng.chisquare(readings - 1) / (readings - 1))
        return means, spreads if readings > 1 else np.zeros(CHANNELS)
