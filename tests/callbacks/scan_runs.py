"""Runs of scans: several regions, any order, zones, roles; as our plans write them, and the ALS's.

The stacks of the ALS are made from the facts of their contract (``stxm``, version 1).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from redoxscope.data import References
from redoxscope.documents import LineStatus
from redoxscope.scan import Frame, Outer, Region, Role, Scan

Doc = tuple[str, dict]

ENERGIES = np.linspace(636.0, 660.0, 12)
RATE = 4e6
"""Transmission without sample, counts per s."""
MONITOR = 2e7
DARK = 2e5


def spectra(energies) -> np.ndarray:
    """Optical densities [2, n] of the two species."""
    e = np.asarray(energies, dtype=float)

    def peak(center: float) -> np.ndarray:
        return np.exp(-0.5 * ((e - center) / 2.0) ** 2)

    return np.stack([peak(644.0) + 0.1, peak(641.0) + 0.5 * peak(653.0) + 0.1])


REFERENCES = References(
    ("Mn4+", "Mn3+"), np.linspace(630, 670, 401), spectra(np.linspace(630, 670, 401)), "OD", "made"
)


def i0_rate(energies) -> np.ndarray:
    """Counts per s without a sample: with structure, as a real beam has it."""
    return RATE * (1.0 + 0.2 * np.sin(np.asarray(energies, dtype=float)))


@dataclass
class Particle:
    """What is in a region: a disc of a mixture, or nothing."""

    fraction: float = 0.4
    radius: float = 0.33
    thickness: float = 1.2

    def od(self, energy: float, ny: int, nx: int) -> np.ndarray:
        y, x = np.mgrid[:ny, :nx]
        inside = np.hypot((y - ny / 2) / ny, (x - nx / 2) / nx) < self.radius
        s = spectra([energy])[:, 0]
        return inside * self.thickness * (self.fraction * s[0] + (1 - self.fraction) * s[1])


EMPTY = Particle(radius=0.0)


@dataclass
class Run:
    """Documents of a scan, with counts of its own.

    ``damage`` is what the optical density of a dose check exceeds that of the first image by.
    """

    scan: Scan
    particles: Sequence[Particle] = (Particle(),)
    seed: int = 0
    uid: str = "run"
    monitored: bool = False
    damage: float = 0.0
    dark: float = 0.0
    dead_time: float = 0.0
    edge: str | None = None
    counts: list[np.ndarray] = field(init=False)
    monitor: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.counts, self.monitor = [], []
        for frame in self.scan.frames:
            nx, ny = self.scan.regions[frame.region].pixels
            od = self.particles[frame.region].od(frame.energy, ny, nx)
            if frame.role is Role.DOSE_CHECK:
                od = od + self.damage * (od > 0)
            light = float(i0_rate(frame.energy)) * np.exp(-od) * (frame.role is not Role.DARK)
            rate = light + self.dark
            mean = rate / (1 + rate * self.dead_time) * frame.dwell
            self.counts.append(rng.poisson(mean).astype(float))
            watched = MONITOR * frame.dwell * (frame.role is not Role.DARK)
            self.monitor.append(rng.poisson(watched, (ny, nx)).astype(float))

    def start(self) -> Doc:
        return "start", {
            "uid": self.uid, "time": time.time(), "plan_name": "stxm_energy_stack",
            "contract_version": 2, "scan": self.scan.as_dict(), "edge": self.edge,
            "detectors": ["transmission", *(["i0"] if self.monitored else [])],
        }  # fmt: skip

    def descriptor(self, region: int) -> Doc:
        data = {"transmission_dead_time": self.dead_time, "i0_dead_time": 0.0}
        return "descriptor", {
            "uid": f"{self.uid}-{region}", "run_start": self.uid,
            "name": self.scan.stream_of(region), "configuration": {"scanner": {"data": data}},
            "data_keys": {"transmission": {"units": "counts"}, "frame": {}, "line": {}},
        }  # fmt: skip

    def line(self, frame: int, line: int, **change) -> Doc:
        region = self.scan.regions[self.scan.frames[frame].region]
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        data = {
            "frame": frame, "line": line, "line_status": int(LineStatus.OK),
            "energy": self.scan.frames[frame].energy,
            "sample_x": np.linspace(x0, x1, nx).tolist(),
            "sample_y": [float(np.linspace(y0, y1, ny)[line])] * nx,
            "transmission": self.counts[frame][line].tolist(),
        }  # fmt: skip
        if self.monitored:
            data["i0"] = self.monitor[frame][line].tolist()
        data |= change
        now = time.time()
        return "event_page", {
            "uid": [f"{self.uid}-{frame}-{line}"], "seq_num": [1], "time": [now],
            "descriptor": f"{self.uid}-{self.scan.frames[frame].region}",
            "data": {key: [value] for key, value in data.items()},
            "timestamps": {key: [now] for key in data}, "filled": {},
        }  # fmt: skip

    def lines(self) -> list[tuple[int, int]]:
        """Frame and line of each event."""
        return [
            (i, line)
            for i, frame in enumerate(self.scan.frames)
            for line in range(self.scan.regions[frame.region].pixels[1])
        ]

    def stop(self, status: str = "success") -> Doc:
        return "stop", {
            "uid": f"{self.uid}-s", "run_start": self.uid, "exit_status": status, "reason": "",
        }  # fmt: skip

    def documents(self, lines: Sequence[tuple[int, int]] | None = None) -> Iterator[Doc]:
        yield self.start()
        for region in range(len(self.scan.regions)):
            yield self.descriptor(region)
        for frame, line in self.lines() if lines is None else lines:
            yield self.line(frame, line)
        yield self.stop()

    def frames(self, role: Role) -> list[int]:
        return [i for i, frame in enumerate(self.scan.frames) if frame.role is role]


def region(name: str, pixels=(30, 24), center=(5.0, 7.0)) -> Region:
    return Region(center, (pixels[0] * 0.1, pixels[1] * 0.1), pixels, name)


def scan_of(
    *regions: Region,
    energies=ENERGIES,
    dwell=1e-3,
    before: Sequence[Frame] = (),
    after: Sequence[Frame] = (),
    outer: Sequence[Outer] = (),
    values: Sequence[tuple[float, ...]] = ((),),
) -> Scan:
    """Each region at each energy, at each value of the outer loops."""
    regions = regions or (region("A"),)
    dwells = np.broadcast_to(dwell, len(energies))
    frames = [
        Frame(float(e), float(t), i, Role.SAMPLE, at)
        for at in values
        for e, t in zip(energies, dwells, strict=True)
        for i in range(len(regions))
    ]
    return Scan(regions=regions, frames=(*before, *frames, *after), outer=tuple(outer))


def play(callback, documents) -> None:
    for name, doc in documents:
        callback(name, doc)
    callback.close()


# -- the ALS's -----------------------------------------------------------------------------------


@dataclass
class AlsRun:
    """Documents of a stack as the Lightfall plan writes them: contract ``stxm``, version 1."""

    counts: np.ndarray
    energies: np.ndarray
    dwell_ms: float
    x_extent: tuple[float, float] = (-3.0, 3.0)
    y_extent: tuple[float, float] = (-2.0, 2.0)
    uid: str = "als"
    page: bool = True
    positions: bool = True
    field: str = "transmission"

    def start(self, **change) -> Doc:
        block = {
            "contract_version": 1, "shape": list(self.counts.shape),
            "energies": [float(e) for e in self.energies], "dwell_ms": float(self.dwell_ms),
            "x_extent": list(self.x_extent), "y_extent": list(self.y_extent),
            "x_motor": "sample_x", "y_motor": "sample_y", "energy_motor": "energy",
            "data_field": self.field,
        } | change  # fmt: skip
        return "start", {
            "uid": self.uid, "time": time.time(), "plan_name": "stxm_energy_stack",
            "motors": ["energy", "sample_y"], "detectors": [self.field], "scan_id": 3,
            "stxm": {key: value for key, value in block.items() if value is not None},
        }  # fmt: skip

    def descriptor(self, *fields: str) -> Doc:
        nx = self.counts.shape[2]
        arrays = {"dtype": "array", "shape": [nx], "source": "CA:STXMSIM:E712:FLY"}
        keys = dict.fromkeys(fields or (self.field, "SampleX"), arrays)
        return "descriptor", {
            "uid": f"{self.uid}-d", "run_start": self.uid, "name": "primary",
            "data_keys": {**keys, "SampleY": {"dtype": "number", "shape": []}},
            "configuration": {},
        }  # fmt: skip

    def line(self, k: int, line: int) -> Doc:
        n, ny, nx = self.counts.shape
        x = np.linspace(*self.x_extent, nx) if self.positions else np.zeros(nx)
        data = {
            self.field: self.counts[k, line].tolist(), "SampleX": x.tolist(),
            "SampleY": float(np.linspace(*self.y_extent, ny)[line]),
        }  # fmt: skip
        now, seq_num = time.time(), k * ny + line + 1
        common = {"descriptor": f"{self.uid}-d", "filled": {}}
        if not self.page:
            return "event", common | {
                "uid": f"{self.uid}-{seq_num}", "seq_num": seq_num, "time": now, "data": data,
                "timestamps": dict.fromkeys(data, now),
            }  # fmt: skip
        return "event_page", common | {
            "uid": [f"{self.uid}-{seq_num}"], "seq_num": [seq_num], "time": [now],
            "data": {key: [value] for key, value in data.items()},
            "timestamps": {key: [now] for key in data},
        }  # fmt: skip

    def documents(self, lines: int | None = None) -> Iterator[Doc]:
        n, ny, _ = self.counts.shape
        yield self.start()
        yield self.descriptor()
        for i in range(n * ny if lines is None else lines):
            yield self.line(*divmod(i, ny))
        yield "stop", {
            "uid": f"{self.uid}-s", "run_start": self.uid,
            "exit_status": "success" if lines is None else "abort", "reason": "",
        }  # fmt: skip
