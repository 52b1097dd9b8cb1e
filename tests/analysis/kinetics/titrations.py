"""Titrations that are known exactly: constant flux into a sphere or a plate, then rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redoxscope.analysis.kinetics import Geometry

Array = NDArray[np.float64]
TERMS = 600


def _roots() -> Array:
    """Positive solutions of tan x = x."""
    guess = (np.arange(1, TERMS + 1) + 0.5) * np.pi
    x = guess - 1 / guess
    for _ in range(4):
        x = guess - np.arctan(1 / x)
    return x


ROOTS = _roots()


def surface(fourier: Array, kind: str) -> Array:
    """Concentration at the surface after a constant flux, in flux times length over D.

    J. Crank, The Mathematics of Diffusion, equations 4.55 (plate) and 6.45 (sphere).
    """
    f = np.maximum(fourier, 0.0)
    roots = ROOTS if kind == "sphere" else np.arange(1, TERMS + 1) * np.pi
    linear, offset = (3.0, 0.2) if kind == "sphere" else (1.0, 1 / 3)
    left = (np.exp(-np.outer(f, roots**2)) / roots**2).sum(1)
    # What the series lacks behind its last term, so that it begins at zero.
    lacking = (offset - 2 * (1 / roots**2).sum()) * np.exp(-f * roots[-1] ** 2)
    return np.where(fourier > 0, linear * f + offset - 2 * left - lacking, 0.0)


def titration(
    d: float,
    geometry: Geometry,
    *,
    tau: float = 600.0,
    rest: float = 14400.0,
    current: float = 1e-3,
    pulses: int = 2,
    step: float = 5e-3,
    ohm: float = 2.0,
    noise: float = 0.0,
    every: float = 0.2,
    seed: int = 0,
) -> tuple[Array, Array, Array]:
    """Time (s), voltage (V) and current (A) of pulses with rests before, between and after.

    Parameters
    ----------
    step : float
        ΔE_s of a pulse (V), positive; a negative current lowers the voltage.
    every : float
        Distance of the points in a pulse (s); in a rest they lie 20 s apart.
    """
    one = np.concatenate([[1e-3], np.arange(every, tau + every / 2, every)])
    quiet = np.arange(1, round(rest / 20) + 1) * 20.0
    times, on = [np.arange(0, 3600.0, 20.0)], [np.zeros(180, bool)]
    starts = []
    for _ in range(pulses):
        starts.append(times[-1][-1])
        times += [starts[-1] + one, starts[-1] + tau + np.concatenate([[1e-3], quiet])]
        on += [np.ones(len(one), bool), np.zeros(len(quiet) + 1, bool)]
    t, flows = np.concatenate(times), np.concatenate(on)
    # The mean concentration rises by 3 F tau/R, or F tau/L, and the voltage by ``step`` with it.
    full = (3.0 if geometry.kind == "sphere" else 1.0) * tau * d / geometry.length**2
    rate = d / geometry.length**2
    sign = np.sign(current)
    v = np.full(len(t), 3.7)
    for start in starts:
        after = (t - start) * rate
        v += sign * step / full * surface(after, geometry.kind)
        v -= sign * step / full * surface(after - tau * rate, geometry.kind)
    i = np.where(flows, current, 0.0)
    v = v + i * ohm + np.random.default_rng(seed).normal(0, noise, len(t)) * bool(noise)
    return t, v, i
