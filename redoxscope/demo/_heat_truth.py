"""What the simulated sample did, to compare with what was found of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..analysis.xas import Spectrum, compare
from ..data import rixs_preset
from ..documents import Bins, Window
from ..sim import HeatedSample, RixsModel
from ._heat_found import Pair, Temperature

__all__ = ["otherwise", "simulated", "simulated_sample"]

Array = NDArray[np.float64]

A_CHANGE = 0.05
"""Per cent of an area; the model's metals in the bulk change by nothing at all."""

AGREES = 5.0
"""Standard deviations by which what is found may differ from what is there."""


def simulated_sample(temperature: Temperature) -> HeatedSample:
    """The sample of the model after the temperatures that were recorded."""
    sample = HeatedSample()
    hours, celsius = temperature.hours, temperature.celsius
    for seconds, mean in zip(np.diff(hours) * 3600, (celsius[1:] + celsius[:-1]) / 2, strict=True):
        if np.isfinite(mean):
            sample.advance(float(seconds), float(mean))
    return sample


def simulated(pair: Pair, sample: HeatedSample) -> float:
    """Change of the area in the pair's window (%) that the model gives, found as that measured is.

    Scale and background of the two are taken from outside the window, where a changed spectrum is
    another, too: so the area changes by more or less than what is in the window.
    """
    energies = np.intersect1d(pair.before.energy, pair.after.energy)
    inside = (energies >= pair.window[0]) & (energies <= pair.window[1])
    if not inside.any():
        return float("nan")
    before, after = (
        _as_measured(one, _values(pair, sample, energies), energies)
        for one, sample in ((pair.before, HeatedSample()), (pair.after, sample))
    )
    return compare(before, after, window=pair.window).change


def _as_measured(one: Spectrum, values: Array, energies: Array) -> Spectrum:
    """The model's values with the measured ones' scale and sigma, which is the weight."""
    there = np.isin(one.energy, energies)
    scale = np.nanmedian(one.value[there] / values)
    return replace(one, energy=energies, value=values * scale, sigma=one.sigma[there])


def _values(pair: Pair, sample: HeatedSample, energies: Array) -> Array:
    if pair.mode in ("TEY", "TFY"):
        return np.asarray(sample.yields(energies)[pair.mode])
    model, parts = RixsModel(), sample.parts()
    window = _window(pair)
    return np.array([_seen(model, parts, float(e), window) for e in energies])


def _window(pair: Pair) -> Window:
    windows = (
        w if isinstance(w, Window) else Window.parse(w) for w in rixs_preset(pair.edge).windows
    )
    return next(w for w in windows if w.kind == pair.mode)


def _seen(model: RixsModel, parts: Mapping[str, float], energy: float, window: Window) -> float:
    bins = Bins(window.low, window.high, window.high - window.low)
    return sum(
        share * float(model.expected(name, energy, bins)[0, 0]) for name, share in parts.items()
    )


def otherwise(pairs: list[Pair], changes: list[float]) -> list[str]:
    """What was found otherwise than the model has it, in words."""
    wrong = []
    for pair, change in zip(pairs, changes, strict=True):
        if pair.significant != (abs(change) > A_CHANGE):
            what = "not seen" if abs(change) > A_CHANGE else "seen, but not there"
            wrong.append(f"{pair.edge} {pair.mode} ({what}: {change:+.2f} %)")
        elif abs(pair.found.change - change) > AGREES * pair.found.change_sigma:
            wrong.append(
                f"{pair.edge} {pair.mode} ({pair.found.change:+.2f} ± "
                f"{pair.found.change_sigma:.2f} % found, {change:+.2f} % there)"
            )
    return wrong
