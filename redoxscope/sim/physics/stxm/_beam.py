"""The beam: flux against energy and time, ring current, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import finite

__all__ = ["Beam"]


@dataclass(frozen=True)
class Beam:
    """Light on the sample.

    Parameters
    ----------
    flux : float
        Photons per second counted through bare membrane at 700 eV and full current.
    current_ma : float
        Ring current at time zero (mA).
    lifetime_h : float
        Life time of the current (h).
    top_up_s : float
        Interval of the top-up (s); 0: none, the current only decays.
    noise : float
        Relative standard deviation of the flux from pixel to pixel (beam motion), the
        same for sample and monitor.
    harmonic : float
        Second-order light over first-order light, before the sample.
    monitor_share : float
        Counts of the monitor over those through bare membrane, at 700 eV.

    Raises
    ------
    ValueError
        A value is NaN or out of range.
    """

    flux: float = 1e7
    current_ma: float = 500.0
    lifetime_h: float = 8.0
    top_up_s: float = 300.0
    noise: float = 0.002
    harmonic: float = 0.0
    monitor_share: float = 0.3

    def __post_init__(self) -> None:
        finite("beam.flux", self.flux, "photons/s", 0, 1e12, open_low=True)
        finite("beam.current", self.current_ma, "mA", 0, 1e4, open_low=True)
        finite("beam.lifetime", self.lifetime_h, "h", 0, 1e6, open_low=True)
        finite("beam.top_up", self.top_up_s, "s", 0, 1e6)
        finite("beam.noise", self.noise, "(relative)", 0, 0.2)
        finite("beam.harmonic", self.harmonic, "(relative)", 0, 0.5)
        finite("beam.monitor_share", self.monitor_share, "(relative)", 0, 10, open_low=True)

    def ring_current(self, t_s: float) -> float:
        """Ring current (mA) at a time after the start (s)."""
        since = t_s % self.top_up_s if self.top_up_s > 0 else t_s
        return self.current_ma * float(np.exp(-since / (3600.0 * self.lifetime_h)))

    def spectrum(self, energy_ev: ArrayLike) -> NDArray[np.float64]:
        """Flux relative to 700 eV at constant current: slow, with dips where optics are dirty.

        Carbon (a film on the mirrors) near 285 eV and above, oxygen near 532 eV.
        """
        e = np.asarray(energy_ev, dtype=float)
        slow = (e / 700.0) ** -0.4 * (1 + 0.03 * np.sin(e / 35.0))
        carbon = 1 - 0.3 * np.exp(-0.5 * ((e - 286.0) / 2.5) ** 2)
        oxygen = 1 - 0.08 * np.exp(-0.5 * ((e - 532.5) / 1.2) ** 2)
        film = 1 - 0.05 / (1 + np.exp(-(e - 535.0) / 2.0))
        norm = (1 + 0.03 * np.sin(20.0)) * 0.95
        return np.asarray(slow * carbon * oxygen * film / norm)

    def rate(self, energy_ev: float, t_s: float) -> float:
        """Photons per second through bare membrane, first order."""
        relative = self.ring_current(t_s) / self.current_ma
        return self.flux * relative * float(self.spectrum(energy_ev))

    def monitor_efficiency(self, energy_ev: float) -> float:
        """Monitor counts over counts through bare membrane.

        It varies with energy (a gold mesh has its own spectrum), which is why a monitor
        alone does not make an I0.
        """
        e = float(energy_ev)
        shape = (e / 700.0) ** 0.5 * (1 + 0.04 * np.sin(e / 25.0))
        return self.monitor_share * float(shape)
