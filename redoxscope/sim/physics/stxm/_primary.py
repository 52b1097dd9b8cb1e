"""Samples ``diffusion`` and ``core-shell``: single primary particles, for ptychography.

Spheres of 200 to 300 nm, each cut to a section through its middle, most of them free of their
neighbours, two of them one behind the other. Each is reduced from its own surface: by vacancy
diffusion, or to a shell of one width with a sharp front. The knife leaves the section rough, on a
scale of which only ptychography sees anything.
Compare Csernica et al., Nature Energy 6, 642 (2021), Fig. 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ._diffusion import sphere_profile
from ._sample import PhaseSample
from ._sphere import Reduced, add_sphere, along_chord

__all__ = ["Particle", "PrimarySample", "core_shell_sample", "diffusion_sample"]

Kind = Literal["diffusion", "core-shell"]
Array = NDArray[np.float64]

_PIXEL = 0.0025  # µm
_SECTION = 0.12  # µm
_D = 1e-17  # cm²/s
_AGE = 100 * 3600.0  # s; sqrt(D t) = 19 nm
_SHELL = 0.03  # µm
_SURFACE, _CORE = 0.85, 0.05  # reduced share
_ROUGH, _GRAIN = 0.08, 0.004  # of the section: relative, and its grain (µm), standard deviations
_GAP = 0.06  # µm between outlines; a reconstruction tells 10 nm apart


@dataclass(frozen=True)
class Particle:
    """A primary particle and how it was reduced.

    Attributes
    ----------
    x, y : float
        Centre (µm); along the beam it is in the middle of the section.
    radius : float
        µm.
    section : float
        Thickness of the section (µm).
    kind : {"diffusion", "core-shell"}
    surface, core : float
        Reduced share at the surface (of the shell), and at the start (of the core), 0..1.
    diffusivity : float
        cm²/s; NaN for a core-shell particle.
    age : float
        s; NaN for a core-shell particle.
    shell : float
        Width of the shell (µm); NaN where there is none.
    alone : bool
        Whether no other particle lies before or behind it.
    """

    x: float
    y: float
    radius: float
    section: float
    kind: Kind
    surface: float
    core: float
    diffusivity: float
    age: float
    shell: float
    alone: bool

    def reduced(self, nodes: int = 24) -> Reduced:
        """How much of a chord is reduced (µm)."""
        if self.kind == "core-shell":
            return self._shell_reduced
        theta = self.diffusivity * 1e8 * self.age / self.radius**2  # cm²/s to µm²/s
        grid = np.linspace(0.0, 1.0, 513)
        values = self.core + (self.surface - self.core) * sphere_profile(grid, theta)
        return along_chord(lambda r: np.interp(r, grid, values), self.radius, nodes)

    def _shell_reduced(self, b2: Array, low: Array, high: Array) -> Array:
        half = np.sqrt(np.maximum((self.radius - self.shell) ** 2 - b2, 0.0))
        core = np.maximum(np.minimum(high, half) - np.maximum(low, -half), 0.0)
        length = np.maximum(high - low, 0.0)
        return np.asarray(self.surface * length + (self.core - self.surface) * core)


@dataclass(frozen=True, eq=False)
class PrimarySample(PhaseSample):
    """A sample that knows the particles it is made of."""

    particles: tuple[Particle, ...] = ()


def _places(rng: np.random.Generator, field: float) -> list[tuple[float, float, float, bool]]:
    """x, y, radius and whether alone: one by the middle, others around it, one pair."""
    found = [(0.02, -0.01, 0.14, True)]
    for _ in range(4000):
        radius = float(rng.uniform(0.1, 0.15))
        x, y = (float(v) for v in rng.uniform(-field / 2 + 0.2, field / 2 - 0.2, 2))
        if all(np.hypot(x - o[0], y - o[1]) > radius + o[2] + _GAP for o in found):
            found.append((x, y, radius, True))
    # the pair: not at the middle, but near it
    near = min(range(1, len(found)), key=lambda k: abs(np.hypot(*found[k][:2]) - 0.5))
    x, y, radius, _ = found[near]
    found[near] = (x, y, radius, False)
    angle = float(np.arctan2(y, x))  # the other lies farther out
    other = (x + 1.1 * radius * np.cos(angle), y + 1.1 * radius * np.sin(angle), 0.8 * radius)
    apart = [
        o for k, o in enumerate(found)
        if k == near or np.hypot(o[0] - other[0], o[1] - other[1]) > o[2] + other[2] + _GAP
    ]  # fmt: skip
    return [*apart, (float(other[0]), float(other[1]), other[2], False)]


def _sample(kind: Kind, seed: int, field_um: float) -> PrimarySample:
    if not 1.5 <= field_um <= 6:
        raise ValueError(f"field = {field_um:g} µm is not within 1.5..6 µm")
    rng = np.random.default_rng(seed)
    n = round(field_um / _PIXEL) + 1
    origin = -_PIXEL * (n - 1) / 2
    maps = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    particles = []
    diffuses = kind == "diffusion"
    for x, y, radius, alone in _places(rng, field_um):
        particle = Particle(
            x=x,
            y=y,
            radius=radius,
            section=_SECTION,
            kind=kind,
            surface=_SURFACE,
            core=_CORE,
            diffusivity=_D if diffuses else np.nan,
            age=_AGE if diffuses else np.nan,
            shell=np.nan if diffuses else _SHELL,
            alone=alone,
        )
        add_sphere(maps, origin, _PIXEL, (x, y, 0.0), radius, _SECTION, particle.reduced())
        particles.append(particle)
    grain = gaussian_filter(rng.standard_normal((n, n), dtype=np.float32), _GRAIN / _PIXEL)
    rough = np.exp(_ROUGH / grain.std() * grain)
    thickness, reduced = maps[0] * rough, maps[1] * rough
    return PrimarySample(
        name=kind,
        x0_um=origin,
        y0_um=origin,
        pixel_um=_PIXEL,
        thickness=thickness,
        oxidised={"Mn L3": np.clip(thickness - reduced, 0, thickness)},
        region_um=(0.0, 0.0, 1.0, 1.0),
        particles=tuple(particles),
    )


def diffusion_sample(seed: int = 1, *, field_um: float = 2.4) -> PrimarySample:
    """Build particles reduced by vacancy diffusion, D = 1e-17 cm²/s for 100 h.

    Parameters
    ----------
    seed : int
        The same seed gives the same sample.
    field_um : float
        Side of the square it covers (µm), centred at (0, 0).

    Returns
    -------
    PrimarySample
        A map for Mn L3; other edges count as fully oxidised.

    Raises
    ------
    ValueError
        `field_um` is not within 1.5..6 µm.
    """
    return _sample("diffusion", seed, field_um)


def core_shell_sample(seed: int = 1, *, field_um: float = 2.4) -> PrimarySample:
    """Build the same particles with a reduced shell of 30 nm; else as `diffusion_sample`."""
    return _sample("core-shell", seed, field_um)
