"""Documents of runs on the model of a microscope whose energy scale and zone plate are off."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from redoxscope.data import edge_energies, load_references
from redoxscope.devices import Monochromator, ZonePlate
from redoxscope.documents import LineStatus
from redoxscope.optics import ZonePlateGeometry, focus_z
from redoxscope.scan import Frame, Outer, Point, Region, Role, Scan
from redoxscope.sim.physics.stxm import GEOMETRY, BeamlineModel, open_sample
from redoxscope.testing import FakeAxis, FakeSetting

Doc = tuple[str, dict]

DWELL = 0.002
grown = cache(open_sample)
"""Samples by name and seed; each model has its own noise."""
MONO, PLATE, OSA = "stxm_monochromator", "stxm_zone_plate", "stxm_osa"


class Mono:
    """What a calibration needs of a monochromator."""

    set_edge_offset = Monochromator.set_edge_offset
    offset_at = Monochromator.offset_at

    def __init__(self, name: str = MONO, **offsets: float):
        self.name, self.edge_offsets = name, dict(offsets)
        self.user_offset, self.edge = FakeSetting("user", 0.0), FakeSetting("edge", "")

    def check_value(self, energy: float, *, offset: float) -> None:
        if not 250 <= energy - offset <= 1500:
            raise ValueError(f"{self.name}.energy = {energy:g} eV is outside its limits")


class Plate:
    """What a calibration needs of a zone plate."""

    refocused = ZonePlate.refocused

    def __init__(self, geometry: ZonePlateGeometry, name: str = PLATE):
        self.name, self.z = name, SimpleNamespace(limits=(-12000.0, -100.0))
        self.set_geometry(geometry)

    def set_geometry(self, geometry: ZonePlateGeometry) -> None:
        self.geometry = geometry
        self.a0, self.a1 = FakeSetting("a0", geometry.a0_um), FakeSetting("a1", geometry.a1)


class Aperture:
    """What a calibration needs of an aperture."""

    def __init__(self, name: str = OSA):
        self.name = name
        self.x, self.y = (FakeAxis(f"{name}_{k}", 0.0, limits=(-100, 100)) for k in "xy")


@dataclass
class Bench:
    """A microscope: devices as they believe, and the model, which is as it is."""

    off: float = 0.4
    a1_error: float = 0.01
    seed: int = 8
    mono: Mono = field(default_factory=Mono)
    number: int = 0
    beamline: str = "ours"

    def __post_init__(self) -> None:
        true = GEOMETRY.a1 / (1 + self.a1_error)
        sample = grown("lmr", seed=self.seed, field_um=6.0)
        self.model = BeamlineModel(sample, a1_true=true, seed=self.seed)
        self.plate, self.osa = Plate(self.model.geometry), Aperture()

    def true(self, energy: float, edge: str | None) -> float:
        """Where the beam is (eV) when the monochromator is asked for an energy (eV)."""
        return energy - self.mono.offset_at(edge) + self.off

    def configuration(self, edge: str | None) -> dict[str, Any]:
        data = {
            f"{MONO}_edge": edge or "", f"{MONO}_user_offset": self.mono.user_offset.get(),
            f"{MONO}_offset": self.mono.offset_at(edge),
            f"{PLATE}_a0": self.plate.a0.get(), f"{PLATE}_a1": self.plate.a1.get(),
            "stxm_sample_stage_fine_x": 0.0, "stxm_sample_stage_z": 0.0,
            f"{OSA}_x": self.osa.x.position, f"{OSA}_y": self.osa.y.position,
            "transmission_dead_time": self.model.transmission.dead_time_s,
            "i0_dead_time": self.model.i0.dead_time_s,
        }  # fmt: skip
        return {"scanner": {"data": data}}

    def stack(self, edge: str, pixels: int = 20, energies: Sequence[float] | None = None):
        """An energy stack with an empty place beside."""
        asked = edge_energies(edge) if energies is None else list(energies)
        regions = (
            Region((0, 0), (3, 3), (pixels, pixels), "sample"),
            Region((9, 0), (1, 1), (12, 4), "empty"),
        )
        frames = [
            Frame(e, DWELL, k, role) for e in asked for k, role in ((0, Role.SAMPLE), (1, Role.I0))
        ]
        scan = Scan(regions=regions, frames=tuple(frames), edge=edge)
        start = self._start(scan, "stxm_energy_stack", edge)
        start["references"] = load_references(edge).at(asked)
        rows = []
        for index, frame in enumerate(frames):
            region = regions[frame.region]
            (x0, x1), (y0, y1) = region.extents
            x = np.linspace(x0, x1, region.pixels[0])
            z = focus_z(self.plate.geometry, frame.energy)
            for line, y in enumerate(np.linspace(y0, y1, region.pixels[1])):
                rows.append(self._line(index, line, frame.energy, edge, z, x, y, frame.region))
        return self._run(start, scan, rows, edge)

    def focus(self, energies: Sequence[float], edge: str | None = None, half: float = 100.0,
              steps: int = 31, y: float = 0.3):  # fmt: skip
        """A focus scan around where the zone plate's geometry has the focus."""
        region = Region((0, y), (4, 0.04), (120, 1))
        frames = tuple(
            Frame(e, DWELL, outer=(float(z),))
            for e in energies
            for z in focus_z(self.plate.geometry, e) + np.linspace(-half, half, steps)
        )
        scan = Scan(regions=(region,), frames=frames, edge=edge,
                    outer=(Outer("zone_plate_z", "um"),))  # fmt: skip
        start = self._start(scan, "focus_scan", edge)
        (x0, x1), _ = region.extents
        x = np.linspace(x0, x1, 120)
        rows = [
            {**self._line(i, 0, f.energy, edge, f.outer[0], x, y, 0), "zone_plate_z": f.outer[0]}
            for i, f in enumerate(frames)
        ]
        return self._run(start, scan, rows, edge)

    def osa_focus(self, energy: float, half: float = 60.0, steps: int = 25):
        """A line over the aperture's hole at several positions of the zone plate."""
        z0 = -self.model.a1_true * self.true(energy, None)
        z = z0 + 20.0 + np.linspace(-half, half, steps)
        x = np.linspace(-40, 40, 81)
        points = tuple(Point(energy, DWELL, outer=(float(a), float(b))) for a in z for b in x)
        rng = np.random.default_rng(3)
        counts = []
        for place in z:
            blur = np.hypot(0.3, 240 * abs(place - z0) / (4 * abs(z0)))
            edge = 1 / (1 + np.exp((np.abs(x) - 25) / (0.6 * blur)))
            counts += rng.poisson(2e4 * edge + 20).tolist()
        rows = [
            {"point": i, "point_status": 0, "energy": energy, "transmission": float(counts[i]),
             "zone_plate_z": p.outer[0], "osa_x": p.outer[1]}
            for i, p in enumerate(points)
        ]  # fmt: skip
        scan = Scan(points=points, outer=(Outer("zone_plate_z", "um"), Outer("osa_x", "um")))
        start = {**self._start(scan, "osa_focus", None), "shape": [steps, 81],
                 "detectors": ["transmission"]}  # fmt: skip
        return self._run(start, scan, rows, None)

    def osa_image(self, x0: float = 7.3, y0: float = -4.6):
        """An image of the aperture, whose middle is at a place (µm)."""
        x, y = np.linspace(-60, 60, 31), np.linspace(-60, 60, 25)
        points = tuple(Point(640.0, DWELL, outer=(float(b), float(a))) for b in y for a in x)
        away = np.hypot(*(np.array([(p.outer[1], p.outer[0]) for p in points]) - (x0, y0)).T)
        counts = np.random.default_rng(4).poisson(3e3 / (1 + np.exp((away - 25) / 1.5)) + 5)
        rows = [
            {"point": i, "point_status": 0, "energy": 640.0, "transmission": float(counts[i]),
             "osa_y": p.outer[0], "osa_x": p.outer[1]}
            for i, p in enumerate(points)
        ]  # fmt: skip
        scan = Scan(points=points, outer=(Outer("osa_y", "um"), Outer("osa_x", "um")))
        start = {**self._start(scan, "osa_image", None), "shape": [25, 31],
                 "detectors": ["transmission"]}  # fmt: skip
        return self._run(start, scan, rows, None)

    def _start(self, scan: Any, plan: str, edge: str | None) -> dict[str, Any]:
        self.number += 1
        return {
            "uid": f"run-{self.number}", "time": time.time(), "plan_name": plan, "edge": edge,
            "contract_version": 2, "beamline_id": self.beamline, "scan": scan.as_dict(),
            "detectors": ["transmission", "i0"], "shape": [len(scan.parts), 1, 120],
        }  # fmt: skip

    def _line(self, frame, line, energy, edge, z, x, y, region) -> dict[str, Any]:
        got = self.model.line(self.true(energy, edge), z, x, y, DWELL, 0.0)
        return {
            "frame": frame, "line": line, "line_status": int(LineStatus.OK), "energy": energy,
            "sample_x": x.tolist(), "sample_y": [float(y)] * len(x), "region": region,
            **{key: values.tolist() for key, values in got.items()},
        }  # fmt: skip

    def _run(self, start, scan, rows, edge) -> list[Doc]:
        docs: list[Doc] = [("start", start)]
        uid, seq = start["uid"], {}
        streams = [scan.stream_of(k) for k in range(len(scan.regions))] or ["primary"]
        for k, name in enumerate(streams):
            keys = {key: {"units": "counts"} for key in rows[0] if key != "region"}
            docs.append(("descriptor", {
                "uid": f"{uid}-{k}", "run_start": uid, "name": name, "data_keys": keys,
                "configuration": self.configuration(edge),
            }))  # fmt: skip
        for row in rows:
            k = row.pop("region", 0)
            seq[k] = seq.get(k, 0) + 1
            docs.append(("event", {
                "uid": f"{uid}-{k}-{seq[k]}", "descriptor": f"{uid}-{k}", "seq_num": seq[k],
                "time": 1.0, "data": row, "timestamps": dict.fromkeys(row, 1.0), "filled": {},
            }))  # fmt: skip
        return docs
