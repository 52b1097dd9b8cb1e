"""Documents of RIXS runs, as a plan emits them, from made-up matrices that look real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from redoxscope.documents import POINT_KEYS, Bins
from redoxscope.photons import LiveBatch
from redoxscope.scan import Scan, points_scan

Doc = tuple[str, dict]
T0 = 1_700_000_000_000_000_000
DEAD_TIME = 1e-7


def gauss(x: np.ndarray, center: float | np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((x - center) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def step(x: np.ndarray, center: float, width: float) -> np.ndarray:
    return 0.5 + np.arctan((x - center) / width) / np.pi


def oxygen_k(w: np.ndarray, e: np.ndarray, oxidised: float = 1.0) -> np.ndarray:
    """Rate per eV (1/s) at excitation w [nE, 1] and emission e [1, nb]."""
    mu = (
        0.9 * gauss(w, 529.2, 0.6) + 1.3 * gauss(w, 531.6, 0.9) + 5.0 * gauss(w, 540.5, 3.0)
        + 0.55 * step(w, 535.0, 1.0) + 0.03
    )  # fmt: skip
    band = 0.7 * gauss(e, 525.8, 1.2) + 0.3 * gauss(e, 523.2, 1.6)
    feature = oxidised * 14.0 * gauss(w, 531.0, 0.45) * gauss(e, 523.7, 0.75)
    return 520 * mu * band + 9.0 * feature + 6.0 * gauss(e, w, 0.65)


def cobalt_l(w: np.ndarray, e: np.ndarray) -> np.ndarray:
    """Rate per eV (1/s) around the cobalt L edge, oxygen's fluorescence included."""
    white = 4.2 * gauss(w, 780.3, 1.1) + 1.7 * gauss(w, 795.2, 1.5)
    mu = white + 0.10 * step(w, 779, 0.7) + 0.05 * step(w, 794, 0.7)
    loss = 0.5 * gauss(e, w - 2.0, 1.1) * white
    alpha = gauss(e, 776.3, 1.5) * mu + 0.12 * gauss(e, 791.0, 1.7) * step(w, 794, 0.7)
    oxygen = 190.0 / (1 + 0.09 * mu) * (0.7 * gauss(e, 525.8, 1.2) + 0.3 * gauss(e, 523.2, 1.6))
    return (
        210 * alpha + 190 * loss + 9.0 * mu * gauss(e, 677.5, 1.6) + oxygen
        + 10 * gauss(e, w, 0.65)
    )  # fmt: skip


GRIDS = {
    "O K": np.concatenate(
        [np.arange(525, 528, 0.5), np.arange(528, 535, 0.1), np.arange(535, 550.01, 0.5)]
    ),
    "Co L": np.concatenate(
        [np.arange(768, 776, 0.4), np.arange(776, 784, 0.1), np.arange(784, 805, 0.2)]
    ),
}
WINDOWS = {
    "O K": ["TFY", "PFY[505:535]", "sPFY[522.5:525]", "XES[530.5:531.5]"],
    "Co L": ["TFY", "PFY[765:800]", "iPFY[500:540]", "Ll=PFY[672:684]", "XES[779.5:781]"],
}
MODELS = {"O K": oxygen_k, "Co L": cobalt_l}


@dataclass
class RixsRun:
    """One run; ``counts`` [passes, nE, nb] are drawn from ``rate`` [nE, nb] (1/s per bin)."""

    edge: str = "O K"
    passes: int = 5
    dwell: float = 1.2
    seed: int = 0
    bins: Bins = Bins(200.0, 1200.0, 0.5)
    uid: str = "rixs"
    live: float = 0.94
    fade: float = 0.0  # share of the feature that is gone after the last pass
    energies: np.ndarray | None = None
    configuration: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        if self.energies is None:
            self.energies = np.round(GRIDS[self.edge], 3)
        w, e = self.energies[:, None], self.bins.centers[None, :]
        self.flux = 1 + 0.06 * np.sin(np.arange(self.passes * len(w)) / 9.0)
        self.flux = self.flux.reshape(self.passes, len(w))
        self.rate = MODELS[self.edge](w, e) * self.bins.step
        rates = np.broadcast_to(self.rate, (self.passes, *self.rate.shape)).copy()
        if self.fade:
            lost = self.fade * np.linspace(0, 1, self.passes)[:, None, None]
            bare = oxygen_k(w, e, 0.0) * self.bins.step
            rates += (bare - rates) * lost
        mean = rates * self.flux[:, :, None] * self.dwell * self.live
        self.counts = rng.poisson(mean).astype(np.int64)
        true_i0 = 2.0e5 * self.flux * self.dwell
        seen = true_i0 / (1 + true_i0 * DEAD_TIME / self.dwell)
        self.i0 = rng.poisson(seen).astype(float)

    @property
    def n(self) -> int:
        return len(self.energies)

    def scan(self) -> Scan:
        return points_scan(
            energies=self.energies.tolist(), dwell=self.dwell, passes=self.passes, edge=self.edge
        )

    def start(self) -> Doc:
        return "start", {
            "uid": self.uid, "time": time.time(), "plan_name": "rixs_map", "contract_version": 2,
            "detectors": ["tes", "i0"], "motors": ["energy"], "hints": {},
            "num_points": self.passes * self.n, "scan": self.scan().as_dict(), "edge": self.edge,
            "energy_tolerance": 0.05, "windows": WINDOWS[self.edge], "holder": "lmr_charged",
        }  # fmt: skip

    def descriptor(self) -> Doc:
        settings = {
            "tes_spectrum_low": self.bins.low, "tes_spectrum_high": self.bins.high,
            "tes_spectrum_step": self.bins.step, "tes_windows": WINDOWS[self.edge],
            "tes_calibration_uid": "cal", "tes_projector_uid": "p", "tes_noise_uid": "n",
            "tes_line_table": "1-abc", **self.configuration,
        }  # fmt: skip
        return "descriptor", {
            "uid": f"{self.uid}-d", "run_start": self.uid, "name": "primary",
            "data_keys": {key: self.data_key(key) for key in [*POINT_KEYS, "i0", "ring_current"]},
            "configuration": {
                "tes": {"data": settings}, "i0": {"data": {"i0_dead_time": DEAD_TIME}},
            },
        }  # fmt: skip

    def data_key(self, key: str) -> dict:
        array = key == "tes_spectrum"
        real = key in ("energy", "tes_live_fraction", "i0", "ring_current")
        return {
            "dtype": "array" if array else "number" if real else "integer",
            "dtype_numpy": "<f8" if real else "<i8", "source": "test",
            "shape": [len(self.bins)] if array else [], "units": POINT_KEYS.get(key),
        }  # fmt: skip

    def point_start(self, point: int) -> int:
        return T0 + int(point * 1.6e9)

    def data(self, i: int, point: int | None = None) -> dict:
        """Of the point with number ``i`` from 0 in order."""
        ipass, ie = divmod(i, self.n)
        spectrum = self.counts[ipass, ie]
        start = self.point_start(i if point is None else point)
        return {
            "point": i, "energy": float(self.energies[ie]) + 0.003,
            "tes_point": i if point is None else point,
            "tes_point_start": start, "tes_point_end": start + int(self.dwell * 1e9),
            "tes_counts": int(spectrum.sum()), "tes_live_fraction": self.live,
            "tes_late": 1 if i % 50 == 7 else 0, "tes_lost": 3 if i % 100 == 9 else 0,
            "tes_point_status": 0, "tes_spectrum": spectrum.tolist(),
            "i0": float(self.i0[ipass, ie]), "ring_current": 500.0,
        }  # fmt: skip

    def event(self, i: int, *, point: int | None = None, page: bool = False, **change) -> Doc:
        data = self.data(i, point) | change
        now = time.time()
        common = {"uid": f"{self.uid}-{i}-{point}", "descriptor": f"{self.uid}-d"}
        if page:
            return "event_page", common | {
                "uid": [common["uid"]], "seq_num": [i + 1], "time": [now],
                "data": {key: [value] for key, value in data.items()},
                "timestamps": {key: [now] for key in data}, "filled": {},
            }  # fmt: skip
        return "event", common | {
            "seq_num": i + 1, "time": now, "data": data,
            "timestamps": dict.fromkeys(data, now), "filled": {},
        }  # fmt: skip

    def batch(self, i: int, n: int = 50, *, point: int | None = None, seed: int = 0) -> LiveBatch:
        """``n`` photons of a point, drawn from its own spectrum."""
        rng = np.random.default_rng((i, n, seed))
        spectrum = self.counts.reshape(-1, len(self.bins))[min(i, self.passes * self.n - 1)]
        bins = rng.choice(len(spectrum), n, p=spectrum / spectrum.sum())
        energy = self.bins.low + (bins + rng.uniform(0.05, 0.95, n)) * self.bins.step
        point = i if point is None else point
        return LiveBatch(
            point, self.point_start(point), rng.integers(1, 241, n).astype(np.uint16),
            energy.astype(np.float32), np.full(n, time.time()),
        )  # fmt: skip

    def totals(self, late: int = 17, lost: int = 23) -> list[Doc]:
        data = {
            "tes_total_photons": int(self.counts.sum()), "tes_total_late": late,
            "tes_total_lost": lost, "tes_total_outside": 5, "tes_total_pixels": 226,
        }  # fmt: skip
        now = time.time()
        return [
            ("descriptor", {
                "uid": f"{self.uid}-t", "run_start": self.uid, "name": "tes_totals",
                "data_keys": {}, "configuration": {},
            }),
            ("event", {
                "uid": f"{self.uid}-te", "descriptor": f"{self.uid}-t", "seq_num": 1, "time": now,
                "data": data, "timestamps": dict.fromkeys(data, now), "filled": {},
            }),
        ]  # fmt: skip

    def stop(self, status: str = "success", reason: str = "") -> Doc:
        return "stop", {
            "uid": f"{self.uid}-s", "run_start": self.uid, "exit_status": status, "reason": reason,
        }  # fmt: skip

    def documents(self, *, page: bool = False, points: int | None = None) -> Iterator[Doc]:
        yield self.start()
        yield self.descriptor()
        for i in range(self.passes * self.n if points is None else points):
            yield self.event(i, page=page)
        if points is None:
            yield from self.totals()
        yield self.stop()


def verdict(seed: int = 0) -> dict:
    """Configuration that says which of 240 pixels are used."""
    rng = np.random.default_rng(seed)
    bad = rng.choice(240, 14, replace=False)
    ok = np.ones(240, bool)
    ok[bad] = False
    return {"tes_pixel_channel": list(range(1, 241)), "tes_pixel_ok": ok.tolist()}
