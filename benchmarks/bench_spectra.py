"""Figures of absorption spectra: time of a live update, sigma and false positives against truth.

``python -m benchmarks.bench_spectra`` prints them; `rows` returns them.
"""

from __future__ import annotations

import math
import time

import numpy as np

from redoxscope.analysis.xas import Spectrum, compare, merge
from redoxscope.callbacks.xas._reader import XasReader
from redoxscope.documents import XasInfo, XasMode, sigma_key
from redoxscope.scan import points_scan

Row = dict[str, object]
POINTS, REPEATS = 1000, 20
PAIRS = 400
ENERGY = np.concatenate(
    [np.arange(635, 639, 0.5), np.arange(639, 648, 0.1), np.arange(648, 662, 0.5)]
)


def l_edge(energy: np.ndarray) -> np.ndarray:
    """An L edge on a background."""
    e = energy
    lines = np.exp(-0.5 * ((e - 642.5) / 0.7) ** 2) + 0.5 * np.exp(-0.5 * ((e - 653) / 1.2) ** 2)
    return 0.3 + lines + 0.15 / (1 + np.exp(-(e - 643) / 0.8))


def live() -> tuple[float, float, float]:
    """Median time (ms) of an update with one mode: by the clock, of the thread; µs per point."""
    energies = np.round(np.linspace(630, 666, POINTS), 3)
    scan = points_scan(energies=energies.tolist(), dwell=0.1, passes=REPEATS, edge="Mn L")
    info = XasInfo("Mn L", REPEATS, {"TEY": XasMode("tey", "i0")})
    start = {"uid": "bench", "scan": scan.as_dict(), "xas": info.as_dict()}
    reader = XasReader(start)
    units = {"units": "A"}
    reader.describe({"name": "primary", "data_keys": {"tey": units, "i0": units}})
    rng = np.random.default_rng(1)
    value = np.tile(l_edge(energies), REPEATS)
    value = value * (1 + 0.005 * rng.standard_normal(len(value)))
    begin = time.perf_counter()
    for number, (point, tey) in enumerate(zip(scan.points, value.tolist(), strict=True)):
        data = {
            "point": number, "energy": point.energy, "xas_point_status": 0, "xas_point_tries": 1,
            "tey": tey, "i0": 1.0, sigma_key("tey"): 0.005 * tey, sigma_key("i0"): 0.0,
        }  # fmt: skip
        doc = {"seq_num": number + 1, "time": 0.0, "data": data, "timestamps": {"point": 0.0}}
        reader.take("event", doc)
    per_point = 1e6 * (time.perf_counter() - begin) / len(value)
    clock, thread = [], []
    for _ in range(15):
        at, own = time.perf_counter(), time.thread_time()
        reader.snapshot()
        clock.append(1e3 * (time.perf_counter() - at))
        thread.append(1e3 * (time.thread_time() - own))
    return float(np.median(clock)), float(np.median(thread)), per_point


def equal_pairs(repeats: int, noise: float) -> tuple[float, float]:
    """Share of equal pairs beyond 3 sigma (%), and sigma reported over found."""
    rng = np.random.default_rng(2)

    def mean() -> Spectrum:
        value = l_edge(ENERGY)
        return merge([
            Spectrum(
                ENERGY,
                value * (1 + 0.01 * rng.standard_normal())
                * (1 + noise * rng.standard_normal(len(value))),
                np.full(len(value), math.nan), f"{k}",
            )
            for k in range(repeats)
        ]).spectrum  # fmt: skip

    found = [compare(mean(), mean()) for _ in range(PAIRS)]
    pull = np.std([each.change / each.change_sigma for each in found])
    return 100 * float(np.mean([each.significant for each in found])), 1 / float(pull)


def rows() -> list[Row]:
    """Figures of absorption spectra."""
    clock, thread, per_point = live()
    made: list[Row] = [
        {
            "what": f"live spectrum, {POINTS} points x {REPEATS} repeats: update",
            "value": clock,
            "unit": "ms",
            "target": 50,
            "reference": f"{thread:.0f} ms of the thread; {per_point:.0f} µs to take a point",
        }
    ]
    for repeats, noise in ((2, 0.02), (4, 0.005)):
        share, ratio = equal_pairs(repeats, noise)
        reference = f"{PAIRS} pairs of {repeats} repeats, 0.27 % expected"
        made += [
            {
                "what": f"equal spectra beyond 3 sigma, {repeats} repeats",
                "value": share,
                "unit": "%",
                "target": 1,
                "reference": reference,
            },
            {
                "what": f"sigma of a shift reported / found, {repeats} repeats",
                "value": ratio,
                "unit": "",
                "target": "0.9-1.1",
                "reference": reference,
            },
        ]
    return made


if __name__ == "__main__":
    from benchmarks.__main__ import show

    show(rows())
