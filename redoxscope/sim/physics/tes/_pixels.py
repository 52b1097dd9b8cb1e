"""The pixels of a simulated array: gain, resolution, drift and what is wrong with each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAULTS", "Pixel", "PixelTable", "make_pixels"]

Array = NDArray[np.float64]

FAULTS = ("poor resolution", "two gains", "kinked gain")
"""What can be wrong with a badly tuned pixel."""

KINK_EV = 600.0
"""Where the gain curve of a kinked pixel bends (eV)."""


@dataclass(frozen=True)
class Pixel:
    """Truth about a pixel.

    Attributes
    ----------
    index : int
        Position in the array, from 0.
    fault : str
        ``""``: none; ``"dead"``; or one of `FAULTS`.
    gain : float
        Filtered value per eV at low energy.
    compression : float
        1/eV; the filtered value is ``gain * E / (1 + compression * E)``.
    kink : float
        Relative change of the slope above `KINK_EV`.
    fwhm_ev : float
        Resolution (eV).
    baseline : float
        Mean level before pulses.
    drift : float
        Relative change of the filtered value per unit of the level.
    swing : float
        The pixel's share of the common drift of the level.
    efficiency : float
        Photons detected over those of an ideal pixel.
    """

    index: int
    fault: str
    gain: float
    compression: float
    kink: float
    fwhm_ev: float
    baseline: float
    drift: float
    swing: float
    efficiency: float

    @property
    def ok(self) -> bool:
        """Whether a calibration should use it."""
        return not self.fault

    def filtered(self, energy_ev: Array) -> Array:
        """Filtered value of energies (eV), without drift and noise."""
        e = np.asarray(energy_ev, float)
        seen = e + self.kink * np.maximum(e - KINK_EV, 0.0)
        return np.asarray(self.gain * seen / (1 + self.compression * seen))


class PixelTable:
    """Columns of `Pixel`, for arithmetic; each [n]."""

    def __init__(self, pixels: tuple[Pixel, ...]):
        def column(name: str) -> Array:
            return np.array([getattr(p, name) for p in pixels], float)

        self.gain = column("gain")
        self.compression = column("compression")
        self.kink = column("kink")
        self.fwhm_ev = column("fwhm_ev")
        self.baseline = column("baseline")
        self.drift = column("drift")
        self.swing = column("swing")
        self.efficiency = column("efficiency")
        self.two_gains = np.array([p.fault == "two gains" for p in pixels])


def make_pixels(
    n: int, n_dead: int, n_bad: int, fwhm_ev: float, rng: np.random.Generator
) -> tuple[Pixel, ...]:
    """Pixels with a spread as of real arrays.

    The best quarter resolve about 20 % better than `fwhm_ev`, which is the mean of the rest.
    """
    best = rng.permutation(n) < round(n * 64 / 240)
    width = np.where(best, 0.785, 1.035) * fwhm_ev
    width *= 1 + np.where(best, 0.03, 0.06) * np.clip(rng.standard_normal(n), -2.5, 2.5)
    chosen = rng.permutation(np.flatnonzero(~best))[: n_dead + n_bad]
    fault = dict.fromkeys(chosen[:n_dead].tolist(), "dead")
    fault |= {int(k): FAULTS[i % len(FAULTS)] for i, k in enumerate(chosen[n_dead:])}
    gain = 12.5 * np.clip(1 + 0.10 * rng.standard_normal(n), 0.7, 1.3)
    compression = 1.0e-4 * np.clip(1 + 0.2 * rng.standard_normal(n), 0.4, 1.6)
    baseline = rng.uniform(3000, 6000, n)
    drift = -1.0e-4 * np.clip(1 + 0.3 * rng.standard_normal(n), 0.2, 1.8)
    swing = np.clip(1 + 0.1 * rng.standard_normal(n), 0.7, 1.3)
    efficiency = np.clip(1 + 0.05 * rng.standard_normal(n), 0.8, 1.2)
    poor = rng.uniform(9.0, 16.0, n)
    bend = rng.uniform(0.10, 0.16, n) * rng.choice([-1, 1], n)
    return tuple(
        Pixel(
            index=i,
            fault=fault.get(i, ""),
            gain=float(gain[i]),
            compression=float(compression[i]),
            kink=float(bend[i]) if fault.get(i) == "kinked gain" else 0.0,
            fwhm_ev=float(poor[i] if fault.get(i) == "poor resolution" else width[i]),
            baseline=float(baseline[i]),
            drift=float(drift[i]),
            swing=float(swing[i]),
            efficiency=0.0 if fault.get(i) == "dead" else float(efficiency[i]),
        )
        for i in range(n)
    )
