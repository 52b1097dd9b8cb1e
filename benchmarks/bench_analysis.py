"""Figures of the oxidation map: speed against other ways to fit, and sigma against truth.

``python -m benchmarks.bench_analysis`` prints them; `rows` returns them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import nnls

from redoxscope.analysis import StackFit

SIDE = 1000
N_ENERGIES = 60
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


def update_rows(repeats: int = 41) -> list[Row]:
    """One energy of 1 Mpx x 3 components into the sums, and the same by refitting everything."""
    rng = np.random.default_rng(0)
    matrix = design(N_ENERGIES)
    frame = next(images(matrix[30:31], SIDE, 5e3, rng))
    monitor = np.full_like(frame, 2e4)

    def update(dtype: type, with_monitor: bool) -> float:
        fit = StackFit(matrix, 2, (SIDE, SIDE), dtype=dtype)
        fit.frames[:] = 0.0
        if with_monitor:
            fit.set_image(N_ENERGIES - 1, frame, monitor)
            fit._measured.monitor.raw[:] = 0.0
            return median_ms(lambda k: fit.set_image(k, frame, monitor), repeats)
        return median_ms(lambda k: fit.set_image(k, frame), repeats)

    single, double = update(np.float32, False), update(np.float64, False)
    monitored = update(np.float32, True)
    # The bytes an update cannot avoid: a frame in, the same kept, three sums read and written.
    source = np.ones(4 * SIDE * SIDE, dtype=np.float32)
    copied = np.empty_like(source)
    floor = median_ms(lambda _: np.copyto(copied, source), repeats)
    y = np.tile(-np.log(frame.reshape(1, -1)), (N_ENERGIES, 1))
    refit = median_ms(lambda _: np.linalg.lstsq(matrix.astype(np.float32), y, rcond=None), 2)
    some = y[:, :4000].astype(np.float64) + 9.0
    per_pixel = median_ms(lambda _: [nnls(matrix, some[:, i]) for i in range(some.shape[1])], 2)
    scaled = per_pixel * SIDE * SIDE / some.shape[1]
    against = (
        f"copying as many bytes {floor:.1f} ms, numpy lstsq refit {refit:.0f} ms, "
        f"scipy nnls per pixel {scaled / 1e3:.1f} s (extrapolated)"
    )
    what = "map update, 1 Mpx x 3 components, one energy"
    return [
        {"what": f"{what}, float32", "value": single, "unit": "ms", "target": 3.0,
         "reference": against},
        {"what": f"{what}, float64", "value": double, "unit": "ms", "target": None,
         "reference": ""},
        {"what": f"{what}, float32, with a monitor", "value": monitored, "unit": "ms",
         "target": None, "reference": ""},
    ]  # fmt: skip


def solve_rows(n_energies: int = 20) -> list[Row]:
    """Solve 1 Mpx with sigma, chi-square, flags and the search for the blank."""
    matrix = design(n_energies)
    fit = StackFit(matrix, 2, (SIDE, SIDE), dtype=np.float32)
    for k, frame in enumerate(images(matrix, SIDE, 5e3, np.random.default_rng(0))):
        fit.set_image(k, frame)
    full = median_ms(lambda _: fit.solve(), 3)
    line = median_ms(lambda _: fit.solve([500]), 9)
    what = f"1 Mpx x {n_energies} energies"
    return [
        {"what": f"full solve, {what}: blank, sigma, chi2, flags", "value": full, "unit": "ms",
         "target": None, "reference": ""},
        {"what": f"one line solved and published, {what}", "value": line, "unit": "ms",
         "target": 100.0, "reference": "p95 of line done -> map updated"},
    ]  # fmt: skip


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
    return [*update_rows(), *solve_rows(), *sigma_rows()]


def main() -> None:
    """Print the table."""
    for row in rows():
        target = "" if row["target"] is None else f"target {row['target']}"
        print(f"{row['what']:<72} {row['value']:9.3f} {row['unit']:<3} {target:<18}", end="")
        print(row["reference"])


if __name__ == "__main__":
    main()
