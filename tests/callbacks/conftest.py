from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from redoxscope.data import References
from redoxscope.documents import LineStatus
from redoxscope.scan import Frame, Region, Scan

Doc = tuple[str, dict]


@dataclass
class Stack:
    """Documents of a stack, as a plan emits them."""

    counts: np.ndarray
    energies: np.ndarray
    x: np.ndarray
    y: np.ndarray
    monitor: np.ndarray | None = None
    uid: str = "run"
    configuration: dict = field(default_factory=dict)
    dwell: float = 1e-3

    @property
    def scan(self) -> Scan:
        _, ny, nx = self.counts.shape
        region = Region((0.0, 0.0), (nx * 0.1, ny * 0.1), (nx, ny))
        return Scan(
            regions=(region,), frames=tuple(Frame(float(e), self.dwell) for e in self.energies)
        )

    def start(self) -> Doc:
        return "start", {
            "uid": self.uid, "time": time.time(), "plan_name": "stxm_energy_stack",
            "contract_version": 2, "shape": list(self.counts.shape), "edge": None,
            "scan": self.scan.as_dict(),
        }  # fmt: skip

    def descriptor(self) -> Doc:
        return "descriptor", {
            "uid": f"{self.uid}-d", "run_start": self.uid, "name": "primary",
            "configuration": {"scanner": {"data": self.configuration}},
        }  # fmt: skip

    def line(self, k: int, line: int, *, missed: bool = False, page: bool = True) -> Doc:
        nx = self.counts.shape[2]
        gone = [float("nan")] * nx
        monitor = gone if self.monitor is None or missed else self.monitor[k, line].tolist()
        data = {
            "frame": k, "energy": float(self.energies[k]), "line": line, "ring_current": 500.0,
            "sample_x": self.x.tolist(), "sample_y": [float(self.y[line])] * nx,
            "transmission": gone if missed else self.counts[k, line].tolist(), "i0": monitor,
            "line_status": int(LineStatus.MISSED if missed else LineStatus.OK),
        }  # fmt: skip
        now = time.time()
        seq_num = k * self.counts.shape[1] + line + 1
        common = {"uid": f"{self.uid}-{seq_num}", "descriptor": f"{self.uid}-d"}
        if page:
            return "event_page", common | {
                "uid": [common["uid"]], "seq_num": [seq_num], "time": [now],
                "data": {key: [value] for key, value in data.items()},
                "timestamps": {key: [now] for key in data}, "filled": {},
            }  # fmt: skip
        return "event", common | {
            "seq_num": seq_num, "time": now, "data": data,
            "timestamps": dict.fromkeys(data, now), "filled": {},
        }  # fmt: skip

    def stop(self, status: str = "success", reason: str = "") -> Doc:
        return "stop", {
            "uid": f"{self.uid}-s", "run_start": self.uid, "exit_status": status, "reason": reason,
        }  # fmt: skip

    def documents(self, *, page: bool = True, lines: int | None = None) -> Iterator[Doc]:
        n, ny, _ = self.counts.shape
        yield self.start()
        yield self.descriptor()
        for i in range(n * ny if lines is None else lines):
            yield self.line(*divmod(i, ny), page=page)
        yield self.stop()


def make(seed: int = 0, uid: str = "run", monitored: bool = False) -> tuple[Stack, References]:
    rng = np.random.default_rng(seed)
    energies = np.linspace(636.0, 660.0, 12)

    def peak(center: float) -> np.ndarray:
        return np.exp(-0.5 * ((energies - center) / 2.0) ** 2)

    spectra = np.stack([peak(644.0) + 0.1, peak(641.0) + 0.5 * peak(653.0) + 0.1])
    references = References(("Mn4+", "Mn3+"), energies, spectra, "OD", "made up")
    y, x = np.mgrid[:24, :30]
    thickness = np.where(np.hypot(y - 12, x - 15) < 8, 1.2, 0.0)
    fraction = 0.3 + 0.5 * x / 30
    od = np.tensordot(spectra.T, np.stack([fraction * thickness, (1 - fraction) * thickness]), 1)
    counts = rng.poisson(4e3 * np.exp(-od)).astype(float)
    monitor = rng.poisson(2e4, counts.shape).astype(float) if monitored else None
    return (
        Stack(counts, energies, 5 + 0.1 * np.arange(30), 7 + 0.1 * np.arange(24), monitor, uid),
        references,
    )


@pytest.fixture
def stack() -> tuple[Stack, References]:
    return make()
