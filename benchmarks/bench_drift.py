"""What the registration of an image costs, and what forming the map anew does.

``python -m benchmarks.bench_drift`` prints it; `rows` returns it.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import ndimage

from redoxscope.analysis._move import moved
from redoxscope.analysis.registration import DriftTracker

Row = dict[str, object]
IMAGES = 24
SIDES = (128, 256, 1000)


def _images(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a sample that wanders, at energies whose contrast differs."""
    rng = np.random.default_rng(0)
    one, other = (
        np.clip(ndimage.gaussian_filter(rng.normal(size=(side, side)), 3.0), 0, None) * 12
        for _ in range(2)
    )
    path = np.cumsum(rng.normal(0, 0.3, (IMAGES, 2)), axis=0)
    found = np.empty((IMAGES, side, side))
    for k, shift in enumerate(path):
        share = 0.5 + 0.5 * np.sin(k)
        od = np.nan_to_num(moved(share * one + (1.2 - share) * other, shift))
        found[k] = rng.poisson(2000 * np.exp(-np.clip(od, 0, None))) + 1.0
    return found, path


def _row(side: int) -> Row:
    counts, path = _images(side)
    tracker = DriftTracker(np.arange(IMAGES, dtype=float), (side, side))
    each = []
    for k, image in enumerate(counts):
        begun = time.perf_counter()
        tracker.add(k, np.log(image), 1.0 / image)
        each.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    moved(counts[-1], (0.3, -1.4))
    move = time.perf_counter() - begun
    error = (tracker.drift.shifts + path)[1:]
    error -= error.mean(axis=0)
    rms = float(np.sqrt((error**2).mean()))
    return {
        "what": f"registration of an image of {side}², among {IMAGES}",
        "value": 1e3 * float(np.median(each[IMAGES // 2 :])),
        "unit": "ms",
        "target": None,
        "reference": f"rms error {rms:.3f} px; moving it {1e3 * move:.1f} ms",
    }


def rows() -> list[Row]:
    """All figures."""
    return [_row(side) for side in SIDES]


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
