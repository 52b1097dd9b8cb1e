"""Mean counts of each image over its energy: what docs/how-to/own-analysis.md shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redoxscope.callbacks import Analysis, Reader, Result


@dataclass(frozen=True)
class MeanSpectrum:
    """Mean counts [n] of each image over its energy (eV); NaN where there is no line yet."""

    energies: NDArray[np.float64]
    counts: NDArray[np.float64]
    message: str = ""


class MeanReader(Reader[MeanSpectrum]):
    """Reads the lines of one stack."""

    def __init__(self, start, options):
        frames = start["scan"]["frames"]
        self.energies = np.array(frames["energy"], dtype=float)
        self.lines = {}  # by (frame, line): one that comes again replaces what was there

    def describe(self, descriptor):
        return descriptor["name"] == "primary"

    def take(self, name, doc):
        data, times = doc["data"], doc["time"]
        for frame, line, counts in zip(
            data["frame"], data["line"], data["transmission"], strict=True
        ):
            self.lines[frame, line] = np.mean(counts)
        return times

    def snapshot(self, *, final=False, full=True, message=""):
        counts = np.full(len(self.energies), np.nan)
        for k in range(len(counts)):
            lines = [mean for (frame, _), mean in self.lines.items() if frame == k]
            if lines:
                counts[k] = np.nanmean(lines)
        return {"": MeanSpectrum(self.energies, counts, message)}


def draw(figure, snapshot):
    figure.clear()
    ax = figure.add_subplot()
    ax.plot(snapshot.energies, snapshot.counts, "o-")
    ax.set(xlabel="photon energy (eV)", ylabel="mean counts", title=snapshot.message)


def results(snapshot):
    yield Result(
        "mean_spectrum", "counts", snapshot.counts, ("energy",),
        coords={"energy": snapshot.energies}, units={"energy": "eV"},
    )  # fmt: skip


ANALYSIS = Analysis(
    name="mean_spectrum",
    title="mean spectrum",
    accepts=lambda start: start.get("plan_name") == "stxm_energy_stack",
    reader=MeanReader,
    snapshot=MeanSpectrum,
    draw=draw,
    results=results,
)
