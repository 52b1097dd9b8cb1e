"""Figures of the oxidation map: speed against other ways to fit, and sigma against truth.

``python -m benchmarks.bench_analysis`` prints them; `rows` returns them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import psutil
from scipy.optimize import nnls

from redoxscope.analysis.oxidation import StackFit

SIDE = 1000
Row = dict[str, object]


def design(n: int) -> np.ndarray:
    """Two white lines and a constant at ``n`` energies, [n, 3]."""
    energy = np.linspace(636.0, 660.0, n)

    def line(center: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((energy - center) / width) ** 2)

    step = 0.3 / (1.0 + np.exp(642.0 - energy))
    first = line(643.3, 0.9) + 0.4 * line(641.2, 0.7) + step
    second = line(641.8, 0.9) + 0.5 * line(653.0, 1.2) + step
    return np.column_stack([first, second, np.ones(n)])


def truth(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Fraction and thickness [side, side]: a disc of sample, blank around it."""
    y, x = np.mgrid[:side, :side] / side
    return 0.2 + 0.6 * x, np.where(np.hypot(x - 0.5, y - 0.5) < 0.4, 1.0, 0.0)


def images(matrix: np.ndarray, side: int, i0: float, rng: np.random.Generator):
    """Poisson counts [side, side] float32, one energy after the other."""
    fraction, thickness = truth(side)
    for a in matrix:
        od = thickness * (a[0] * fraction + a[1] * (1.0 - fraction) + 0.2)
        yield rng.poisson(i0 * np.exp(-od)).astype(np.float32)


def median_ms(function: Callable[[int], object], repeats: int) -> float:
    """Median time of ``function(i)``, ms, after one call to warm up."""
    times = []
    for i in range(repeats + 1):
        begin = time.perf_counter()
        function(i)
        times.append(1e3 * (time.perf_counter() - begin))
    return float(np.median(times[1:]))


class Feed:
    """A stack that streams, image by image, each solved and published when it is there.

    ``times`` are ms of each image: frame stored, I0, map, sigma, chi-square, flags, and the copy of
    all maps that is handed out. ``cpu`` is the same of the thread alone, which other programs do
    not make longer by taking the core. ``looked`` says which looked for the blank area again.
    """

    def __init__(self, matrix: np.ndarray, side: int) -> None:
        self.fit = StackFit(matrix, 2, (side, side), dtype=np.float32)
        self.times: list[float] = []
        self.cpu: list[float] = []
        self.looked: list[bool] = []

    def take(self, k: int, frame: np.ndarray) -> None:
        before, begin, cpu = self.fit._i0._looked_at, time.perf_counter(), time.thread_time()
        self.fit.set_image(k, frame)
        self.fit.solve(self.fit.refresh())
        self.cpu.append(1e3 * (time.thread_time() - cpu))
        self.times.append(1e3 * (time.perf_counter() - begin))
        self.looked.append(self.fit._i0._looked_at != before)

    def at(self, first: int, stop: int, *, looked: bool = False) -> tuple[float, float]:
        """Median time (ms) of images, and of their thread."""
        which = [i for i in range(first, stop) if self.looked[i] == looked]
        return tuple(  # type: ignore[return-value]
            float(np.median([values[i] for i in which])) if which else float("nan")
            for values in (self.times, self.cpu)
        )


def image_rows(n: int = 100) -> list[Row]:
    """A whole image of 1 Mpx into the map, at energy 10 and at energy 100, and other ways."""
    matrix, rng = design(n), np.random.default_rng(0)
    feed = Feed(matrix, SIDE)
    for k, frame in enumerate(images(matrix, SIDE, 5e3, rng)):
        feed.take(k, frame)
    begin = time.perf_counter()
    feed.fit.solve()
    final = time.perf_counter() - begin
    line = median_ms(lambda i: (feed.fit.set_line(n - 1, i, frame[i]), feed.fit.solve([i])), 9)
    # What an image cannot avoid: 22 numbers per pixel read and written, 12 handed out.
    source = np.ones(22 * SIDE * SIDE, dtype=np.float32)
    copied = np.empty_like(source)
    floor = median_ms(lambda _: np.copyto(copied, source), 9)
    y = np.tile(-np.log(frame.reshape(1, -1)), (n, 1))
    refit = median_ms(lambda _: np.linalg.lstsq(matrix.astype(np.float32), y, rcond=None), 1)
    some = y[:, :2000].astype(np.float64) + 9.0
    per_pixel = median_ms(lambda _: [nnls(matrix, some[:, i]) for i in range(some.shape[1])], 1)
    scaled = per_pixel * SIDE * SIDE / some.shape[1]
    what = "whole image, 1 Mpx x 3 components: map, sigma, chi2, flags"
    found = []
    for at, first in ((10, 5), (n, n - 12)):
        value, cpu = feed.at(first, at)
        found.append(
            {"what": f"{what}, energy {at}", "value": value, "unit": "ms", "target": 60.0,
             "reference": f"its thread {cpu:.0f} ms; reading and writing the sums {floor:.0f} ms"}
        )  # fmt: skip
    again, cpu = feed.at(n // 4, n, looked=True)
    return [
        *found,
        {"what": "the same where the blank area is looked for again", "value": again,
         "unit": "ms", "target": None,
         "reference": f"its thread {cpu:.0f} ms; {sum(feed.looked)} of {n} images"},
        {"what": f"final map, 1 Mpx x {n} energies, all from the frames", "value": final,
         "unit": "s", "target": None,
         "reference": f"numpy lstsq alone {refit / 1e3:.1f} s, scipy nnls per pixel "
         f"{scaled / 1e3:.0f} s (extrapolated)"},
        {"what": f"one line flown again, solved and published, 1 Mpx x {n} energies",
         "value": line, "unit": "ms", "target": 100.0,
         "reference": "p95 of line done -> map updated"},
    ]  # fmt: skip


def scaling_rows(n: int = 100) -> list[Row]:
    """Time of an image, of the final map, and memory, for stacks of other sizes."""
    process, found = psutil.Process(), []
    for side in (128, 256, 512, 1024, 2048):
        matrix = design(n)
        frames = list(images(matrix[::10], side, 5e3, np.random.default_rng(0)))
        before = process.memory_info().rss
        feed = Feed(matrix, side)
        for k in range(n):
            feed.take(k, frames[k % len(frames)])
            if k + 1 in (10, 30, n):
                value, cpu = feed.at(max(0, k - 11), k + 1)
                used = (process.memory_info().rss - before) / 1e6
                found.append(
                    {"what": f"{side} x {side} pixels, an image at energy {k + 1}",
                     "value": value, "unit": "ms", "target": None,
                     "reference": f"its thread {cpu:.2g} ms; memory {used:.0f} MB"}
                )  # fmt: skip
        begin = time.perf_counter()
        feed.fit.solve()
        found[-1]["reference"] = (
            f"{found[-1]['reference']}; final map {time.perf_counter() - begin:.2g} s"
        )
        del feed, frames
    return found


def sigma_rows(side: int = 150) -> list[Row]:
    """Sigma reported over sigma found, from pixels of known truth."""
    cases = [
        ("1000 counts, 60 energies", 60, 1e3, None),
        ("5000 counts, 24 energies", 24, 5e3, None),
        ("10000 counts, noisy monitor", 24, 1e4, 5e3),
        ("200000 counts, 8 energies", 8, 2e5, None),
    ]
    found = []
    for name, n, i0, monitor in cases:
        rng = np.random.default_rng(1)
        matrix = design(n)
        fit = StackFit(matrix, 2, (side, side))
        for k, frame in enumerate(images(matrix, side, i0, rng)):
            fit.set_image(k, frame, None if monitor is None else rng.poisson(monitor, frame.shape))
        result = fit.solve()
        fraction, thickness = truth(side)
        inside = result.mask & (thickness > 0)
        pull = (result.fraction - fraction)[inside] / result.sigma[inside]
        found.append(
            {"what": f"sigma reported / found, {name}", "value": float(1.0 / pull.std()),
             "unit": "", "target": "0.95-1.05", "reference": f"{inside.sum()} pixels"}
        )  # fmt: skip
    return found


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*image_rows(), *scaling_rows(), *sigma_rows()]


def main() -> None:
    """Print the table."""
    for row in rows():
        target = "" if row["target"] is None else f"target {row['target']}"
        print(f"{row['what']:<72} {row['value']:9.3f} {row['unit']:<3} {target:<18}", end="")
        print(row["reference"])


if __name__ == "__main__":
    main()
