"""Mean counts of each image over its energy: the example of docs/how-to/own-analysis.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redoxscope.callbacks import Analysis, Reader, Result


@dataclass(frozen=True)
class MeanSpectrum:
    """Mean counts per pixel [n] at each energy (eV) [n]; NaN where there is no line yet."""

    energies: NDArray[np.float64]
    counts: NDArray[np.float64]
    message: str = ""


class MeanReader(Reader[MeanSpectrum]):
    """Reads the lines of one stack."""

    def __init__(self, start, options):
        self.energies = np.array(start["scan"]["frames"]["energy"], dtype=float)
        self.lines = [{} for _ in self.energies]  # mean of each line by its number

    def describe(self, descriptor):
        return descriptor["name"] == "primary"

    def take(self, name, page):
        data = page["data"]
        rows = zip(data["frame"], data["line"], data["transmission"], strict=True)
        for frame, line, counts in rows:
            self.lines[frame][line] = np.mean(counts)  # again after a pause: replaced
        return page["time"]

    def snapshot(self, *, final=False, full=True, message=""):
        counts = np.full(len(self.lines), np.nan)
        for k, lines in enumerate(self.lines):
            taken = [mean for mean in lines.values() if np.isfinite(mean)]  # NaN: missed
            if taken:
                counts[k] = np.mean(taken)
        return {"": MeanSpectrum(self.energies, counts, message)}


def draw(figure, snapshot):
    figure.clear()
    ax = figure.add_subplot()
    ax.plot(snapshot.energies, snapshot.counts, "o-")
    ax.set(xlabel="photon energy (eV)", ylabel="mean counts per pixel", title=snapshot.message)


def results(snapshot):
    yield Result(
        analysis="mean_spectrum",
        name="counts",
        array=snapshot.counts,
        dims=("energy",),
        coords={"energy": snapshot.energies},
        units={"energy": "eV"},
    )


ANALYSIS = Analysis(
    name="mean_spectrum",
    title="mean spectrum",
    accepts=lambda start: start.get("plan_name") == "stxm_energy_stack",
    reader=MeanReader,
    snapshot=MeanSpectrum,
    draw=draw,
    results=results,
)
