"""Figures of the reconstruction: cost of a frame's update, of merging, against a plain ePIE.

``python -m benchmarks.bench_ptycho`` prints them; `rows` returns them. All on one core, but for
the rows of a GPU, which are there where CuPy finds one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from redoxscope.analysis.ptychography import Engine, Geometry, initial_probe, merge_exposures

Row = dict[str, object]
PLACES = 49


def geometry(size: int) -> Geometry:
    """5 nm pixels at 640 eV."""
    return Geometry(640.0, 0.005 * size * 30.0 * 640.0 / 1239.84198e-3, 30.0, size)


def frames(size: int) -> tuple[Geometry, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Photons of a few places on a noisy object, with the beam and the places (µm)."""
    g = geometry(size)
    rng = np.random.default_rng(1)
    probe = initial_probe(g, outer_zone_nm=45.0, stop_fraction=0.4, defocus_um=4.0, photons=1e6)
    side = round(PLACES**0.5)
    grid = (np.arange(side) - (side - 1) / 2) * 0.04
    x, y = (v.ravel() + rng.uniform(-0.01, 0.01, PLACES) for v in np.meshgrid(grid, grid))
    n = size + round(0.04 * side / g.object_pixel_um) + 16
    wave = np.exp(-rng.uniform(0, 0.3, (n, n)) - 1j * rng.uniform(0, 0.5, (n, n)))
    out = np.empty((PLACES, size, size), np.float32)
    for k in range(PLACES):
        r, c = (round(v / g.object_pixel_um) + n // 2 - size // 2 for v in (y[k], x[k]))
        far = np.fft.fft2(probe * wave[r : r + size, c : c + size], norm="ortho")
        out[k] = rng.poisson(np.fft.fftshift(np.abs(far) ** 2))
    return g, probe, out, x, y


def best(
    work: Callable[[], object],
    times: int,
    repeats: int = 7,
    clock: Callable[[], float] = time.thread_time,
) -> float:
    """Least CPU time of one of `times` (ms): what other processes do is not in it."""
    found = []
    for _ in range(repeats):
        began = clock()
        work()
        found.append((clock() - began) / times * 1e3)
    return min(found)


class Plain:
    """ePIE as the paper has it, in numpy, without anything else: 1 probe, whole pixels."""

    def __init__(self, g: Geometry, probe: np.ndarray, photons: np.ndarray, x, y) -> None:
        self.probe, self.root = probe.astype(np.complex64), np.sqrt(photons)
        step, size = g.object_pixel_um, g.size
        self.size = size
        corner_y, corner_x = y.min(), x.min()
        self.places = [
            (round((b - corner_y) / step), round((a - corner_x) / step))
            for a, b in zip(x, y, strict=True)
        ]
        shape = (max(p[axis] for p in self.places) + size for axis in (0, 1))
        self.object = np.ones(tuple(shape), np.complex64)

    def sweep(self) -> None:
        for k, (r, c) in enumerate(self.places):
            view = self.object[r : r + self.size, c : c + self.size]
            before = view.copy()
            wave = self.probe * view
            far = np.fft.fftshift(np.fft.fft2(wave))
            far = self.root[k] * self.size * np.exp(1j * np.angle(far))
            change = np.fft.ifft2(np.fft.ifftshift(far)) - wave
            view += np.conj(self.probe) / np.max(np.abs(self.probe) ** 2) * change
            self.probe = self.probe + np.conj(before) / np.max(np.abs(before) ** 2) * change


def update_rows() -> list[Row]:
    """Cost of a frame's update."""
    out: list[Row] = []
    for size, target in ((128, 0.5), (256, 2.0)):
        g, probe, photons, x, y = frames(size)
        field = (x.min(), x.max(), y.min(), y.max())
        cost = {}
        for name, options in {"live": {}, "held": {"probe_step": 0.0}}.items():
            engine = Engine(g, probe, field, expected=PLACES, **options)
            engine.add(photons, x, y)
            engine.sweep()
            cost[name] = best(engine.sweep, PLACES)
        plain = Plain(g, probe, photons, x, y)
        plain.sweep()
        slow = best(plain.sweep, PLACES)
        one = Engine(g, probe, field)
        added = best(partial(one.add, photons, x, y), PLACES, 3)
        out += [
            {"what": f"ptychography, update of object and probe, {size} x {size}",
             "value": cost["live"], "unit": "ms", "target": target,
             "reference": f"plain ePIE in numpy {slow:.2f} ms; probe held {cost['held']:.2f} ms"},
            {"what": f"ptychography, frame taken, {size} x {size}", "value": added, "unit": "ms",
             "target": None, "reference": "once per place"},
        ]  # fmt: skip
    return out


def gpu_rows() -> list[Row]:
    """Cost of a frame's update on a GPU, by the clock on the wall; none where there is no GPU."""
    out: list[Row] = []
    for size in (128, 256):
        g, probe, photons, x, y = frames(size)
        field = (x.min(), x.max(), y.min(), y.max())
        cost = {}
        for module in ("cupy", "numpy"):
            try:
                engine = Engine(g, probe, field, expected=PLACES, xp=module)
            except ValueError as none:
                print(f"ptychography on a GPU: left out, {none}", file=sys.stderr)
                return []
            engine.add(photons, x, y)

            def sweep(engine=engine):
                engine.sweep()
                _ = engine.object  # a copy on the host: all that was queued is done

            sweep()
            cost[module] = best(sweep, PLACES, clock=time.perf_counter)
        out.append(
            {"what": f"ptychography, update of object and probe on a GPU, {size} x {size}",
             "value": cost["cupy"], "unit": "ms", "target": None,
             "reference": f"one core {cost['numpy']:.2f} ms; "
             f"ratio {cost['numpy'] / cost['cupy']:.2g}"}
        )  # fmt: skip
    return out


def merge_rows() -> list[Row]:
    """Cost of merging two exposures."""
    out: list[Row] = []
    for size in (128, 256):
        rng = np.random.default_rng(2)
        raw = rng.poisson(100, (16, 2, size, size)).astype(np.uint16)
        raw[:, 1, size // 2, size // 2] = 65535
        dark = np.full((2, size, size), 90.0)

        def work(raw=raw, dark=dark):
            merge_exposures(
                raw, (0.03, 0.3), dark, gain=10, read_noise=3, saturation=60000, bloom=2
            )

        work()
        out.append(
            {"what": f"ptychography, two exposures merged, {size} x {size}",
             "value": best(work, 16), "unit": "ms", "target": None,
             "reference": "once per place, read noise and saturation allowed for"}
        )  # fmt: skip
    return out


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*update_rows(), *gpu_rows(), *merge_rows()]


def main() -> None:
    """Print the table."""
    from .__main__ import show

    show(rows())


if __name__ == "__main__":
    main()
