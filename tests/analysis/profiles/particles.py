"""Particles with a known history as a microscope sees them; nothing here is of the package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FINE = 4  # parts of a pixel


@dataclass(frozen=True)
class Particle:
    """A particle, what happened to it, and how it is looked at. Lengths in um."""

    model: str = "diffusion"
    shape: str = "sphere"
    radius: float = 0.1
    section: float = 0.08
    length: float = 0.025  # sqrt(D t), or the width of the shell
    bulk: float = 0.1
    surface: float = 0.7
    pixel: float = 0.005
    blur: float = 0.008  # full width at half maximum
    noise: float = 0.05  # of a fraction in the middle, of one pixel
    smooth: float = 0.0  # pixels over which the noise is blurred
    round: float = 0.0  # relative excentricity of the outline

    def local(self, r: np.ndarray) -> np.ndarray:
        """Share at a radius (over that of the particle), by finite differences."""
        if self.model == "core-shell":
            return np.where(r > 1 - self.length / self.radius, 1.0, 0.0)
        grid, share = diffused(self.shape, (self.length / self.radius) ** 2)
        return np.interp(r, grid, share)

    def chord_mean(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Way of the beam (radii) and mean share at distances x from the axis."""
        if self.shape == "cylinder":
            return np.where(x < 1, self.section / self.radius, 0.0), self.local(np.clip(x, 0, 1))
        half = np.minimum(np.sqrt(np.clip(1 - x**2, 0, None)), self.section / 2 / self.radius)
        z = (np.arange(200) + 0.5) / 200 * half[..., None]
        share = self.local(np.sqrt(np.clip(x[..., None] ** 2 + z**2, 0, 1))).mean(-1)
        return 2 * half, share

    def maps(self, rng: np.random.Generator, size: int | None = None) -> dict[str, np.ndarray]:
        """Fraction, its sigma, thickness (radii), and the fraction without noise."""
        n = size or 2 * int(self.radius * 1.25 / self.pixel + 4 * self.blur / self.pixel + 3)
        side = n * FINE
        offset = rng.uniform(-0.5, 0.5, 2) * self.pixel
        y, x = ((np.arange(side) + 0.5 - side / 2) * self.pixel / FINE + o for o in offset)
        y, x = y[:, None], x[None, :]
        angle, turn = np.arctan2(y, x), rng.uniform(0, np.pi)
        outline = self.radius * (1 + self.round * np.cos(2 * (angle - turn)))
        at = np.hypot(x, y) / outline
        table = 1 - np.linspace(0, 1, 400) ** 2
        way, share = self.chord_mean(table)
        seen = np.interp(at, table[::-1], share[::-1])
        thick = np.where(at < 1, np.interp(at, table[::-1], way[::-1]), 0.0)
        fraction = self.bulk + (self.surface - self.bulk) * seen
        s = self.blur / 2.3548 / self.pixel * FINE
        amounts = [
            ndimage.gaussian_filter(a, s) for a in (thick * fraction, thick * (1 - fraction))
        ]
        amounts = [a.reshape(n, FINE, n, FINE).mean(axis=(1, 3)) for a in amounts]
        level = min(2.0, self.section / self.radius)
        noise = self.noise * level / np.sqrt(0.5)  # of each amount
        measured = [a + noise * self._white(rng, a.shape) for a in amounts]
        total = measured[0] + measured[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            f = measured[0] / total
            sigma = noise * np.hypot(1 - f, f) / total
        good = total > 3 * noise
        return {
            "fraction": np.where(good, f, np.nan),
            "sigma": np.where(good, sigma, np.nan),
            "thickness": total,
            "truth": amounts[0] / np.maximum(amounts[0] + amounts[1], 1e-9),
        }

    def _white(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        white = rng.normal(size=shape)
        if not self.smooth:
            return white
        return ndimage.gaussian_filter(white, self.smooth, mode="wrap") * (
            2 * self.smooth * np.sqrt(np.pi)
        )


def diffused(shape: str, tau: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Share against radius after D t / a² = tau: implicit finite differences in small steps."""
    from scipy.linalg import solve_banded

    r = np.linspace(0, 1, n + 1)
    h = 1 / n
    power = 2 if shape == "sphere" else 1
    steps = 300
    # Steps that grow: the beginning is fast.
    times = tau * np.linspace(0, 1, steps + 1) ** 2
    u = np.zeros(n + 1)
    u[-1] = 1
    for dt in np.diff(times):
        k = dt / h**2
        inner = ((r[1:-1] - h / 2) / r[1:-1]) ** power
        outer = ((r[1:-1] + h / 2) / r[1:-1]) ** power
        bands = np.zeros((3, n + 1))
        bands[1] = 1
        bands[1, 1:-1] += k * (inner + outer)
        bands[0, 2:] = -k * outer
        bands[2, :-2] = -k * inner
        bands[1, 0] += 2 * k * (power + 1)
        bands[0, 1] = -2 * k * (power + 1)
        u = solve_banded((1, 1), bands, u)
    return r, u
