"""Documents of absorption runs, as a plan emits them, with spectra of known truth."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from redoxscope.documents import XasInfo, XasMode, sigma_key
from redoxscope.scan import Point, Role, Scan

Doc = tuple[str, dict]

ZONES = np.arange(628.0, 636, 0.5), np.arange(636.0, 648, 0.1), np.arange(648, 666, 0.25)
ENERGIES = np.round(np.concatenate(ZONES), 3)
MODES = {"TEY": XasMode("meter_tey", "meter_i0"), "TFY": XasMode("diode", "meter_i0")}
I0 = 2e-9
OFFSETS = {"meter_tey": 3e-13, "meter_i0": 5e-12, "diode": 1e-12, "foil": 0.0}


def absorption(energy: np.ndarray, moved: float = 0.0) -> np.ndarray:
    """An L edge, with a background that falls."""
    e = energy - moved

    def peak(center: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((e - center) / width) ** 2)

    edge = 0.1 / (1 + np.exp(-(e - 642) / 0.8)) + 0.05 / (1 + np.exp(-(e - 653) / 0.8))
    lines = peak(642.3, 0.8) + 0.5 * peak(640.6, 0.5) + 0.45 * peak(653, 1.2)
    return 0.2 * (lines + edge) + 0.08 - 0.0005 * (energy - 640)


def foil(energy: np.ndarray, moved: float = 0.0) -> np.ndarray:
    """Absorbance of a reference."""
    return 0.5 + 0.8 / (1 + np.exp(-(energy - moved - 640) / 0.7))


@dataclass
class XasRun:
    """One run; ``moved`` is where each repeat's energy scale is (eV)."""

    repeats: int = 4
    noise: float = 0.004
    seed: int = 0
    uid: str = "spectra"
    energies: np.ndarray = field(default_factory=lambda: ENERGIES)
    modes: dict[str, XasMode] = field(default_factory=lambda: dict(MODES))
    dark: bool = True
    moved: Sequence[float] = ()
    bad: int | None = None
    units: str = "A"
    dwell: float = 0.5
    given_sigma: bool = True

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        points = [Point(600.0, self.dwell, Role.DARK)] if self.dark else []
        points += [
            Point(float(e), self.dwell, Role.SAMPLE, k)
            for k in range(self.repeats) for e in self.energies
        ]  # fmt: skip
        self.scan = Scan(points=tuple(points), edge="Mn L")
        moved = list(self.moved) or [0.0] * self.repeats
        shape = self.repeats, len(self.energies)
        flux = I0 * (1 + 0.05 * np.sin(np.arange(np.prod(shape)) / 50.0)).reshape(shape)
        true = np.stack([absorption(self.energies, by) for by in moved])
        truth = {
            "meter_tey": flux * true,
            "diode": flux * 0.01 * true,
            "meter_i0": flux,
            "foil": flux * np.exp(-np.stack([foil(self.energies, by) for by in moved])),
        }
        self.keys = sorted({key for mode in self.modes.values() for key in mode.keys})
        self.value, self.sigma = {}, {}
        for key in self.keys:
            sigma = self.noise * np.abs(truth[key]) + 1e-16
            drawn = truth[key] + sigma * rng.standard_normal(shape)
            if self.bad is not None and key == "meter_tey":
                drawn[self.bad] += 0.3 * truth[key][self.bad] * rng.standard_normal(shape[1])
            self.value[key], self.sigma[key] = drawn, sigma

    def start(self) -> Doc:
        return "start", {
            "uid": self.uid, "time": time.time(), "plan_name": "xas", "contract_version": 2,
            "scan": self.scan.as_dict(), "edge": "Mn L", "holder": "lmr_charged",
            "xas": XasInfo("Mn L", self.repeats, self.modes).as_dict(),
        }  # fmt: skip

    def descriptor(self) -> Doc:
        keys = {key: {"units": self.units, "dtype": "number", "shape": [], "source": "made"}
                for key in self.keys}  # fmt: skip
        return "descriptor", {
            "uid": f"{self.uid}-d", "run_start": self.uid, "name": "primary", "data_keys": keys,
            "configuration": {},
        }  # fmt: skip

    def point(self, number: int, *, status: int = 0, tries: int = 1, gone: bool = False) -> Doc:
        part = self.scan.points[number]
        data = {
            "point": number, "energy": part.energy, "xas_point_status": status,
            "xas_point_tries": tries,
        }  # fmt: skip
        scale = self.dwell if self.units == "counts" else 1.0
        for key in self.keys:
            if part.role is Role.DARK:
                value, sigma = OFFSETS[key], 1e-16
            else:
                at = part.repeat, int(np.searchsorted(self.energies, part.energy))
                offset = OFFSETS[key] if self.dark else 0.0
                value, sigma = self.value[key][at] + offset, self.sigma[key][at]
            data[key] = float("nan") if gone else float(value) * scale
            data[sigma_key(key)] = float(sigma) * scale if self.given_sigma else float("nan")
        return "event", {
            "descriptor": f"{self.uid}-d", "seq_num": number + 1, "uid": f"{self.uid}-{number}",
            "time": time.time(), "data": data, "timestamps": dict.fromkeys(data, time.time()),
        }  # fmt: skip

    def stop(self, status: str = "success") -> Doc:
        return "stop", {"uid": f"{self.uid}-s", "run_start": self.uid, "time": time.time(),
                        "exit_status": status, "num_events": {}}  # fmt: skip

    def documents(self, points: range | None = None) -> Iterator[Doc]:
        yield self.start()
        yield self.descriptor()
        for number in points or range(len(self.scan.points)):
            yield self.point(number)
        yield self.stop()


def as_page(documents: Sequence[Doc]) -> Doc:
    """Events as the page of a flown line."""
    events = [doc for _, doc in documents]
    data = {key: [doc["data"][key] for doc in events] for key in events[0]["data"]}
    return "event_page", {
        "descriptor": events[0]["descriptor"], "uid": [doc["uid"] for doc in events],
        "seq_num": [doc["seq_num"] for doc in events], "time": [doc["time"] for doc in events],
        "data": data, "timestamps": {key: [doc["time"] for doc in events] for key in data},
    }  # fmt: skip
