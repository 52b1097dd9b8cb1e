"""A small simulated experiment for the tests: an asymmetric object, a beam, frames of photons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from redoxscope.analysis.ptychography import Geometry, initial_probe


@dataclass
class Toy:
    geometry: Geometry
    object: np.ndarray
    """On a grid of its own, pixel [0, 0] at `corner`."""
    corner: tuple[int, int]
    probe: np.ndarray
    x: np.ndarray
    y: np.ndarray
    frames: np.ndarray
    """Photons without noise."""

    def photons(self, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).poisson(self.frames).astype(np.float32)

    @property
    def field(self) -> tuple[float, float, float, float]:
        return (
            float(self.x.min()),
            float(self.x.max()),
            float(self.y.min()),
            float(self.y.max()),
        )


def geometry(size: int = 64, energy: float = 640.0, pixel_nm: float = 5.0) -> Geometry:
    distance = 1e-3 * pixel_nm * size * 30.0 / (1.2398419843 / energy)
    return Geometry(energy, distance, 30.0, size)


def toy(
    size: int = 64,
    side: int = 8,
    step: float = 0.04,
    photons: float = 1e5,
    defocus: float = 3.0,
    zone: float = 25.0,
    seed: int = 1,
    jitter: float = 0.25,
) -> Toy:
    g = geometry(size)
    rng = np.random.default_rng(seed)
    probe = initial_probe(
        g, outer_zone_nm=zone, stop_fraction=0.4, defocus_um=defocus, photons=photons
    )
    grid = (np.arange(side) - (side - 1) / 2) * step
    x, y = (v.ravel() for v in np.meshgrid(grid, grid))
    x = x + rng.uniform(-jitter, jitter, x.size) * step
    y = y + rng.uniform(-jitter, jitter, y.size) * step
    pixel = g.object_pixel_um
    reach = int(np.ceil((side / 2 * step + step) / pixel)) + size // 2 + 2
    n = 2 * reach
    o = sample(n, rng, (side * step) / pixel)
    frames = np.empty((x.size, size, size))
    q = np.fft.fftfreq(size)
    spectrum = np.fft.fft2(probe)
    for k in range(x.size):
        c, r = x[k] / pixel, y[k] / pixel
        ci, ri = int(np.floor(c)), int(np.floor(r))
        ramp = np.exp(-2j * np.pi * ((r - ri) * q[:, None] + (c - ci) * q[None, :]))
        moved = np.fft.ifft2(spectrum * ramp)
        top, left = ri + reach - size // 2, ci + reach - size // 2
        wave = moved * o[top : top + size, left : left + size]
        frames[k] = np.abs(np.fft.fftshift(np.fft.fft2(wave, norm="ortho"))) ** 2
    return Toy(g, o, (-reach, -reach), probe, x, y, frames)


def sample(n: int, rng: np.random.Generator, width: float) -> np.ndarray:
    """Blobs of several sizes, without any symmetry; empty outside."""
    rows, columns = np.mgrid[:n, :n] - n / 2
    thickness = np.zeros((n, n))
    for _ in range(30):
        cy, cx = rng.uniform(-0.4, 0.4, 2) * width
        a = rng.uniform(2, 14)
        thickness += rng.uniform(0.1, 0.5) * (np.hypot(rows - cy, columns - cx) < a)
    thickness = ndimage.gaussian_filter(thickness, 0.7)
    return np.exp(-(0.35 + 0.6j) * thickness)


def truth_on(t: Toy, result) -> np.ndarray:
    """The toy's object on the grid of a result; 1 where it has none."""
    pixel = result.pixel_um
    out = np.ones(result.object.shape, dtype=complex)
    top = round(result.y_um[0] / pixel) - t.corner[0]
    left = round(result.x_um[0] / pixel) - t.corner[1]
    n = len(t.object)
    r0, c0 = max(0, -top), max(0, -left)
    r1, c1 = min(out.shape[0], n - top), min(out.shape[1], n - left)
    out[r0:r1, c0:c1] = t.object[top + r0 : top + r1, left + c0 : left + c1]
    return out
