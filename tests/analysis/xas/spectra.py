"""Spectra of known truth."""

from __future__ import annotations

import numpy as np

from redoxscope.analysis.xas import Spectrum

ZONES = np.arange(635, 639, 0.5), np.arange(639, 648, 0.1), np.arange(648, 662, 0.5)
ENERGY = np.concatenate(ZONES)


def l_edge(energy, moved=0.0, reduced=0.0):
    """An L edge of which a part is in a lower valence."""

    def peak(centre, width, height):
        return height * np.exp(-0.5 * ((energy - moved - centre) / width) ** 2)

    high = peak(642.5, 0.7, 1.0) + peak(640.8, 0.4, 0.5) + peak(653.0, 1.2, 0.5)
    low = peak(640.2, 0.5, 1.0) + peak(642.0, 0.7, 0.4) + peak(651.5, 1.1, 0.45)
    edge = 0.15 / (1 + np.exp(-(energy - moved - 643) / 0.8))
    return 0.3 + 0.002 * (energy - 640) + (1 - reduced) * high + reduced * low + edge


def currents(rng, n, noise, energy=ENERGY, drift=0.01, **sample):
    """Repeats whose noise is a part of their value, and whose scale drifts; sigma not known."""
    true = l_edge(energy, **sample)
    found = []
    for k in range(n):
        scale = 1 + drift * rng.standard_normal()
        value = scale * true * (1 + noise * rng.standard_normal(len(true)))
        found.append(Spectrum(energy, value, None, f"repeat {k + 1}"))
    return found


def counted(rng, photons, energy=ENERGY, **sample):
    """One spectrum of counted photons, ``photons`` of them at 1."""
    counts = rng.poisson(photons * l_edge(energy, **sample))
    return Spectrum(energy, counts / photons, np.sqrt(np.maximum(counts, 1)) / photons, "photons")
