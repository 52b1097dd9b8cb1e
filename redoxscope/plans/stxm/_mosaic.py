"""What the map of an electrode shows: its images, and particles on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.dose import DoseLimit
from ...analysis.oxidation import dead_time_corrected, log_variance
from ...analysis.particles import Particle, absorbance, find_particles
from ...data import References
from ...documents import LineStatus
from ...scan import Scan, joined
from ._dose_limit import DoseGuard

__all__ = ["Mosaic", "particles_on"]

Array = NDArray[np.float64]


class Mosaic:
    """Images of the map (counts) and dwells (s) by energy (eV), from the documents of its run."""

    def __init__(self, limit: DoseLimit | None) -> None:
        self._limit = limit
        self._dose: DoseGuard | None = None
        self.scan: Scan | None = None
        self.images: dict[float, Any] = {}
        self.x: list[float] = []
        self.y: list[float] = []
        self.dwells: dict[float, float] = {}
        self.dead_time = 0.0
        """Of the counter behind the sample (s)."""
        self._begins: list[tuple[int, int]] = []
        self._detector = ""

    @property
    def gray(self) -> float | None:
        """Dose of the pixel that has most, with what it had before (Gy); None without a limit."""
        return None if self._dose is None else self._dose.gray

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._dose is not None:
            self._dose(name, doc)
        if name == "start":
            self._detector = doc["detectors"][0]
            scan = Scan.from_start(doc)
            self.x, self.y, self._begins = joined(scan.regions)
            self._empty = np.full((len(self.y), len(self.x)), np.nan)
            self._scan = scan
            if self._limit is not None:
                gray = np.broadcast_to(doc["exposure"]["gray"], len(scan.frames))
                self._dose = DoseGuard(self._limit, scan, gray)
        elif name == "descriptor":
            for part in doc.get("configuration", {}).values():
                said = part.get("data", {}).get(f"{self._detector}_dead_time")
                if said is not None and math.isfinite(said):
                    self.dead_time = float(said)
        elif name == "event_page" and "frame" in doc["data"]:
            self.scan = self._scan
            data = doc["data"]
            for i, counts in enumerate(data[self._detector]):
                back = data["sample_x"][i][0] > data["sample_x"][i][-1]
                frame, line, status = (
                    int(data[key][i]) for key in ("frame", "line", "line_status")
                )
                self._line(frame, line, status, counts[::-1] if back else counts)

    def _line(self, frame: int, line: int, status: int, counts: Any) -> None:
        assert self.scan is not None
        if status not in (LineStatus.OK, LineStatus.RETRIED):
            return
        part = self.scan.frames[frame]
        image = self.images.setdefault(part.energy, self._empty.copy())
        self.dwells[part.energy] = part.dwell
        column, row = self._begins[part.region]
        image[row + line, column : column + len(counts)] = counts


def particles_on(
    mosaic: Mosaic, spectra: References | None, smallest: float, gap: float
) -> list[Particle]:
    """Particles on the map, or on the difference of its highest and its lowest energy."""
    assert mosaic.scan is not None
    counted = {energy for energy, image in mosaic.images.items() if np.isfinite(image).any()}
    dark = sorted({*mosaic.scan.all_energies} - counted)
    if dark:
        raise ValueError(
            f"nothing was counted on the map at {dark[0]:g} eV, so no particle can be found"
        )
    energies = sorted(mosaic.images)
    maps = [_density(mosaic, energy) for energy in energies]
    density, sigma = maps[-1]
    if len(maps) > 1:
        density = density - maps[0][0]
        sigma = np.hypot(sigma, maps[0][1])
    return find_particles(
        density, sigma, mosaic.x, mosaic.y, smallest=smallest, gap=gap,
        absorption=_absorption(spectra, energies),
    )  # fmt: skip


def _density(mosaic: Mosaic, energy: float) -> tuple[Array, Array]:
    """Optical density at an energy (eV), and its standard deviation.

    A counter's dead time takes more from the bare membrane than from what absorbs: uncorrected,
    particles look thinner than they are.
    """
    counts = mosaic.images[energy]
    true = dead_time_corrected(counts, mosaic.dwells[energy], mosaic.dead_time)
    return absorbance(true)[0], np.sqrt(log_variance(counts))


def _absorption(spectra: References | None, energies: Sequence[float]) -> NDArray[Any] | None:
    """Of each phase at the last energy, less that at the first of several (1/µm) [K]."""
    if spectra is None:
        return None
    rows = [
        np.interp([energies[0], energies[-1]], spectra.energies, row, np.nan, np.nan)
        for row in spectra.spectra
    ]
    return np.array([high - low if len(energies) > 1 else high for low, high in rows])
