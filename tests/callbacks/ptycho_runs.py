"""Runs of ptychography for tests: documents, and a real HDF5 file of frames of a known sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np

from redoxscope.analysis.ptychography import Geometry, initial_probe
from redoxscope.data import load_references
from redoxscope.documents import FrameStatus, PtychoInfo
from redoxscope.formats import file_uri
from redoxscope.scan import Role, Scan, ptychography_scan

DATASET = "/entry/data/data"
GAIN, PEDESTAL, READ, SATURATION = 10.0, 200.0, 3.0, 60000
ENERGIES = (639.0, 641.2, 642.6, 645.0)


@dataclass
class PtychoRun:
    """A particle whose fraction of the first species goes from `shell` at its edge to `core`."""

    path: Path
    size: int = 64
    energies: tuple[float, ...] = ENERGIES
    width: float = 0.3
    step: float = 0.05
    times: tuple[float, ...] = (0.01, 0.1)
    photons: float = 3e5
    """Of a frame of the longest time, without sample."""
    places_per_block: int = 10
    defocus: float = 2.0
    seed: int = 1
    uid: str = "ptycho-run"
    core: float = 0.9
    shell: float = 0.3
    time: float = 1.8e9
    mask: str | None = None
    info: dict = field(default_factory=dict)
    bright: float = 1.0

    def __post_init__(self):
        self.references = load_references("Mn L3")
        self.pixel = 300.0 * 64 / self.size

    @cached_property
    def scan(self) -> Scan:
        return ptychography_scan(
            {"center": (0, 0), "size": self.width}, energies=self.energies, step=self.step,
            exposures=self.times, dark_frames=4, edge="Mn L3", seed=self.seed,
        )  # fmt: skip

    def geometry(self, energy: float) -> Geometry:
        return Geometry(energy, 79_000.0, self.pixel, self.size)

    @cached_property
    def described(self) -> PtychoInfo:
        return PtychoInfo(**{
            "image": "camera_image", "shape": (self.size, self.size), "pixel_um": self.pixel,
            "distance_um": 79_000.0, "defocus_um": self.defocus,
            "object_pixel_um": tuple(
                (e, self.geometry(e).object_pixel_um, self.geometry(e).object_pixel_um)
                for e in self.energies
            ),
            "probe_um": 0.1, "saturation": SATURATION, "read_noise": READ, "gain": GAIN,
            "pedestal": PEDESTAL, "mask": self.mask,
            "zone_plate": {
                "diameter_um": 240.0, "outer_zone_nm": 45.0, "central_stop_um": 95.0,
                "osa_diameter_um": 60.0, "a0_um": 500.0, "a1_um_per_ev": 8.7,
            },
            **self.info,
        })  # fmt: skip

    def start(self):
        return "start", {
            "uid": self.uid, "time": self.time, "plan_name": "ptychography", "edge": "Mn L3",
            "contract_version": 2, "scan": self.scan.as_dict(),
            "ptychography": self.described.as_dict(),
        }  # fmt: skip

    # -- the sample

    def truth(self, x, y):
        """Thickness (µm) and fraction of the first species at places x [nx], y [ny] (µm)."""
        r = np.hypot(x[None, :] - 0.02, y[:, None] + 0.01)
        inside = np.clip((0.11 - r) / 0.01, 0, 1)
        depth = np.clip((0.11 - r) / 0.08, 0, 1)
        return 0.12 * inside, self.shell + (self.core - self.shell) * depth

    def transmission(self, energy, x, y):
        thickness, fraction = self.truth(x, y)
        one, two = self.references.design(np.array([energy, *ENERGIES]))[0, :2]
        od = thickness * (fraction * one + (1 - fraction) * two)
        return np.exp(-od / 2 - 6j * thickness)

    @cached_property
    def rng(self):
        return np.random.default_rng(self.seed)

    def frame(self, energy, x, y, share):
        """Raw counts of one frame."""
        geometry = self.geometry(energy)
        step, n = geometry.object_pixel_um, self.size
        probe = initial_probe(
            geometry, outer_zone_nm=45.0, stop_fraction=95 / 240, defocus_um=1.1 * self.defocus,
            photons=self.photons,
        )  # fmt: skip
        offsets = (np.arange(n) - n // 2) * step
        wave = probe * self.transmission(energy, x + offsets, y + offsets)
        far = np.abs(np.fft.fftshift(np.fft.fft2(wave, norm="ortho"))) ** 2
        return self._counted(self.bright * share * far)

    def _counted(self, photons):
        raw = GAIN * self.rng.poisson(photons) + PEDESTAL
        raw = raw + READ * self.rng.standard_normal(raw.shape)
        return np.clip(np.rint(raw), 0, SATURATION).astype(np.uint16)

    def light(self, number):
        """Incident beam of a block over that of the first."""
        return 1.0

    # -- documents

    def blocks(self):
        """(index, first, places [n, 2]) of each block."""
        for k, part in enumerate(self.scan.exposures):
            places = np.array(part.positions)
            for first in range(0, len(places), self.places_per_block):
                yield k, first, places[first : first + self.places_per_block]

    def measure(self, index, places):
        """Frames of a block, [n·m, ny, nx]."""
        part = self.scan.exposures[index]
        dark = part.role is Role.DARK
        return np.array([
            self._counted(np.zeros((self.size, self.size)))
            if dark
            else self.frame(part.energy, x, y, t / max(part.times))
            for x, y in places
            for t in part.times
        ])  # fmt: skip

    @cached_property
    def longest(self):
        times = max(len(p.times) for p in self.scan.exposures)
        return self.places_per_block * times

    def event(self, number, index, first, places, row, *, stamp=None, status=0):
        """The event of a block whose first frame is in this row."""
        times = self.scan.exposures[index].times
        n = len(places) * len(times)
        pad = self.longest - n

        def padded(values, fill):
            return [*np.broadcast_to(values, n).tolist(), *[fill] * pad]

        rows = row + np.arange(n)
        status = np.broadcast_to(status, n)
        data = {
            "exposure": index, "first": first, "places": len(places), "block_tries": 1,
            "row": padded(np.where(status == 0, rows, -1), -1),
            "x": padded(np.repeat(places[:, 0], len(times)), float("nan")),
            "y": padded(np.repeat(places[:, 1], len(times)), float("nan")),
            "gate": padded(np.tile(times, len(places)), float("nan")),
            "frame_status": padded(status, int(FrameStatus.PADDING)),
            "energy": self.scan.exposures[index].energy, "zone_plate_z": -5000.0,
            "i0": 1e6 * self.light(number) * len(places) * sum(times),  # counts of the block
        }  # fmt: skip
        when = self.time + number if stamp is None else stamp
        return "event", {
            "uid": f"{self.uid}-{number}", "descriptor": f"{self.uid}-d", "seq_num": number + 1,
            "time": when, "data": data, "timestamps": dict.fromkeys(data, when), "filled": {},
        }  # fmt: skip

    def head(self):
        """Start, descriptors, and where the frames are."""
        yield self.start()
        yield "descriptor", {
            "uid": f"{self.uid}-d", "run_start": self.uid, "name": "primary", "data_keys": {},
        }  # fmt: skip
        yield "descriptor", {
            "uid": f"{self.uid}-f", "run_start": self.uid, "name": "frames", "data_keys": {},
        }  # fmt: skip
        yield "stream_resource", {
            "uid": f"{self.uid}-r", "run_start": self.uid, "data_key": "camera_image",
            "mimetype": "application/x-hdf5", "uri": file_uri(self.path),
            "parameters": {"dataset": DATASET, "swmr": True},
        }  # fmt: skip

    def datum(self, start, stop):
        return "stream_datum", {
            "uid": f"{self.uid}-r/{start}", "stream_resource": f"{self.uid}-r",
            "descriptor": f"{self.uid}-f", "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": start + 1, "stop": stop + 1},
        }  # fmt: skip

    def stop(self, status="success"):
        return "stop", {
            "uid": f"{self.uid}-s", "run_start": self.uid, "time": self.time + 100,
            "exit_status": status, "reason": "",
        }  # fmt: skip

    def documents(self, *, live=False, blocks=None):
        """All documents; frames are on disk before they are announced.

        ``live``: events have the time of the clock. ``blocks``: by default all of the scan.
        """
        import time

        yield from self.head()
        rows = 0
        with h5py.File(self.path, "w", libver="latest") as file:
            data = file.create_dataset(
                DATASET, (0, self.size, self.size), "u2", chunks=(1, self.size, self.size),
                maxshape=(None, self.size, self.size),
            )  # fmt: skip
            file.swmr_mode = True
            for number, (index, first, places) in enumerate(blocks or self.blocks()):
                self.bright = self.light(number)
                frames = self.measure(index, places)
                data.resize(rows + len(frames), axis=0)
                data[rows:] = frames
                data.flush()
                yield self.datum(rows, rows + len(frames))
                stamp = time.time() if live else None
                yield self.event(number, index, first, places, rows, stamp=stamp)
                rows += len(frames)
        yield self.stop()
