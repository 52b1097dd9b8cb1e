"""Figures of the RIXS analysis: photons per second from message bytes to map, and memory.

``python -m benchmarks.bench_rixs`` prints them; `rows` returns them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import psutil
from bluesky import Msg

from redoxscope.analysis.rixs import (
    BinnedPhotons,
    Bins,
    DamageSentinel,
    PointIndex,
    RixsCounts,
    bin_photons,
    feature_significance,
)
from redoxscope.analysis.tes import Calibration, PixelCalibration
from redoxscope.data import rixs_preset
from redoxscope.formats import FILTERED, decode_summaries, summary_dtype

Row = dict[str, object]
BINS = Bins(200.0, 1200.0, 0.5)
N_PIXELS = 240
N_ENERGIES, N_PASSES = 250, 5
N_POINTS = N_ENERGIES * N_PASSES
N_COEFS = 5
T0 = 1_700_000_000_000_000_000
PERIOD, DWELL = 1_550_000_000, 1_200_000_000  # ns


def calibration() -> Calibration:
    """240 pixels with gains 10 % apart; odd channel numbers, as a server names them."""
    rng = np.random.default_rng(0)
    gains = 0.1 * rng.normal(1.0, 0.1, N_PIXELS)
    return Calibration(
        tuple(
            PixelCalibration(2 * i + 1, i % 20 != 0, "", (gain, 1e-7, 1e-12, 0.0), 2e-5, 1000.0)
            for i, gain in enumerate(gains)
        )
    )


def messages(n: int) -> bytes:
    """Summaries of n photons, headers and coefficients one after the other."""
    rng = np.random.default_rng(1)
    scale = calibration()
    record = np.zeros(n, summary_dtype(N_COEFS))
    index = rng.integers(0, N_PIXELS, n)
    energy = rng.choice([277.0, 524.9, 677.0, 776.0, 780.0], n) + rng.normal(0.0, 3.0, n)
    gain = np.array([pixel.gain[0] for pixel in scale.pixels])
    record["chan_index"] = index
    record["ptm"] = rng.normal(1000.0, 3.0, n)
    record["coefs"][:, FILTERED] = energy / gain[index]
    record["t_ns"] = T0 + np.sort(rng.integers(0, N_POINTS * PERIOD, n))
    return record.tobytes()


def best_s(function: Callable[[], object], repeats: int = 7) -> float:
    """Shortest time of ``function()``, s: what the machine can do when nothing else runs."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


class Way:
    """From bytes to the map, as the package does it."""

    def __init__(self) -> None:
        starts = T0 + PERIOD * np.arange(N_POINTS)
        self.points = PointIndex(starts, starts + DWELL)
        self.calibration = calibration()
        self.channels = np.array([p.channel for p in self.calibration.pixels], np.uint16)
        self.calibration.energy([1], [1.0], [1.0])  # makes its table

    def __call__(
        self, buffer: bytes, threads: int, out: BinnedPhotons | None = None
    ) -> BinnedPhotons:
        found = decode_summaries(buffer, N_COEFS)
        return bin_photons(
            found["chan_index"], found["t_ns"], found["coefs"][:, FILTERED], found["ptm"],
            calibration=self.calibration, points=self.points, bins=BINS, channels=self.channels,
            rows=np.arange(N_POINTS) % N_ENERGIES, threads=threads, out=out,
        )  # fmt: skip


def speed_rows(n: int = 5_000_000) -> list[Row]:
    """Photons per second, against numpy's own histogram of energies that are there already."""
    way, buffer = Way(), messages(n)
    found = decode_summaries(buffer, N_COEFS)
    some = slice(0, n // 4)
    energy = way.calibration.energy(
        way.channels[found["chan_index"][some]], found["coefs"][some, FILTERED], found["ptm"][some]
    )
    point = way.points.point(found["t_ns"][some])
    good = np.isfinite(energy) & (point >= 0)
    row, energy = (point[good] % N_ENERGIES).astype(float), energy[good].astype(float)

    def plain() -> object:
        return np.histogram2d(
            row, energy, bins=(N_ENERGIES, len(BINS)),
            range=((0, N_ENERGIES), (BINS.low, BINS.high)),
        )  # fmt: skip

    both = 1e-6 * n / best_s(lambda: way(buffer, 2), 15)
    one = 1e-6 * n / best_s(lambda: way(buffer, 1), 15)
    bare = 1e-6 * len(energy) / best_s(plain, 5)
    calibrate = 1e-6 * n / best_s(
        lambda: way.calibration.energy(
            found["chan_index"], found["coefs"][:, FILTERED], found["ptm"]
        ),
        5,
    )  # fmt: skip
    against = (
        f"numpy histogram2d of calibrated energies {bare:.1f} M/s: {both / bare:.1f} times; "
        f"calibration alone, one thread, {calibrate:.0f} M/s"
    )
    what = "photons from message bytes to map"
    return [
        {"what": f"{what}, two threads", "value": both, "unit": "M/s", "target": "≥ 30 M/s",
         "reference": against},
        {"what": f"{what}, one thread", "value": one, "unit": "M/s", "target": None,
         "reference": "best of 15, as above"},
    ]  # fmt: skip


def memory_rows(n: int = 10_000_000, batch: int = 100_000) -> list[Row]:
    """Growth of the process while photons come batch by batch."""
    way, process = Way(), psutil.Process()
    whole = messages(batch * 10)
    size = len(whole) // 10
    batches = [whole[i * size : (i + 1) * size] for i in range(10)]
    out = way(batches[0], 2)
    for part in batches:
        way(part, 2, out)
    before = process.memory_info().rss
    for i in range(n // batch):
        way(batches[i % 10], 2, out)
    grown = (process.memory_info().rss - before) / 1e6
    return [
        {"what": f"memory growth over {n / 1e6:.0f} M photons into the map", "value": grown,
         "unit": "MB", "target": 50.0, "reference": f"{out.photons} photons counted"},
    ]  # fmt: skip


def update_rows() -> list[Row]:
    """What a live update costs: map, yields, significance, comparison of passes."""
    preset = rixs_preset("O K")
    rng = np.random.default_rng(2)
    counts = RixsCounts(preset.energies, BINS, 5)
    for p in range(5):
        for k in range(len(preset.energies)):
            counts.set_point(p, k, spectrum=rng.poisson(0.3, len(BINS)), seconds=1.2, i0=1e4)
    feature = preset.feature
    assert feature is not None
    spot, pfy = preset.window(feature.window), preset.window("PFY")
    sentinel = DamageSentinel(("TFY", spot))

    def significance() -> object:
        return feature_significance(
            counts, spot, pfy, feature.excitation, reference=feature.reference, elastic_mask=2.1
        )

    cases: list[tuple[str, Callable[[], object]]] = [
        ("map with sigma", counts.map),
        ("one yield with sigma", lambda: counts.yields(pfy)),
        ("significance of a feature", significance),
        ("comparison of 5 passes, 2 windows", lambda: sentinel.check(counts)),
    ]
    where = f"{len(preset.energies)} energies x {len(BINS)} bins"
    return [
        {"what": f"{what}, {where}", "value": 1e3 * best_s(case, 9), "unit": "ms",
         "target": None, "reference": ""}
        for what, case in cases
    ]  # fmt: skip


def null_rows(n: int = 300) -> list[Row]:
    """Significance where there is no feature: should be normal with deviation 1."""
    rng = np.random.default_rng(3)
    energies = np.linspace(527.0, 545.0, 37)
    bins = Bins(500.0, 540.0, 1.0)
    shape = 30.0 * np.exp(-0.5 * ((bins.centers - 525.0) / 2.5) ** 2)
    found = []
    for _ in range(n):
        counts = RixsCounts(energies, bins)
        for k in range(len(energies)):
            counts.set_point(0, k, spectrum=rng.poisson(shape), seconds=1.0)
        result = feature_significance(counts, "sPFY[522:525]", "PFY[510:535]", (530.0, 532.0))
        found.append(result.significance)
    return [
        {"what": "significance without a feature, standard deviation", "value": np.std(found),
         "unit": "", "target": "0.9-1.1", "reference": f"mean {np.mean(found):.2f}, {n} runs"},
    ]  # fmt: skip


def plan_rows(points: int = 60, speed: float = 20.0) -> list[Row]:
    """What a point of `rixs_map` costs beside counting and the move: checks, shutter, event."""
    import tempfile

    from redoxscope import start_session
    from redoxscope.plans import rixs_map

    gaps: list[float] = []
    last: dict[str, float] = {}

    def look(msg: Msg) -> None:
        now = time.perf_counter()
        if msg.command == "trigger" and msg.obj is session.tes.conditions:
            last["counted"] = now  # the wait for the point is over
        elif msg.command == "set" and msg.obj is session.mono:
            last["energy"], last["here"] = msg.args[0], last.get("energy", msg.args[0])
        elif msg.command == "trigger" and msg.obj is session.tes and "counted" in last:
            move = session.mono.time_to(last["energy"], last["here"]) / speed
            gaps.append(now - last["counted"] - move)

    with (
        tempfile.TemporaryDirectory() as folder,
        start_session(speed=speed, tes=True, data=folder) as session,
    ):
        session.tes.set_calibration(calibration())
        plan = rixs_map(
            session.tes, session.mono, energies=[640.0, 641.0], dwell=1.0, passes=points // 2
        )
        session.RE.msg_hook = look
        session.RE(plan)
    return [
        {"what": "software of a RIXS point, median", "value": 1e3 * float(np.median(gaps)),
         "unit": "ms", "target": 20.0,
         "reference": f"p95 {1e3 * np.percentile(gaps, 95):.0f} ms, {len(gaps)} points; between "
                      "two points, without the move as the monochromator declares it"},
    ]  # fmt: skip


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*speed_rows(), *memory_rows(), *update_rows(), *null_rows(), *plan_rows()]


def main() -> None:
    """Print the table."""
    from .__main__ import show

    show(rows())


if __name__ == "__main__":
    main()
