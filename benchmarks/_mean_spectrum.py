"""The third analysis: mean counts of each image, as in ``docs/how-to/own-analysis.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxscope.callbacks import Analysis, Reader


@dataclass(frozen=True)
class MeanSpectrum:
    """Mean counts per pixel [n] of each image."""

    counts: NDArray[np.float64]
    message: str = ""


class MeanReader(Reader[MeanSpectrum]):
    """Reads the lines of one stack."""

    def __init__(self, start: Mapping[str, Any], options: Any) -> None:
        self.lines: list[dict[int, float]] = [{} for _ in start["scan"]["frames"]["energy"]]

    def describe(self, descriptor: Mapping[str, Any]) -> bool:
        return bool(descriptor["name"] == "primary")

    def take(self, name: str, doc: Mapping[str, Any]) -> Iterable[float]:
        data = doc["data"]
        rows = zip(data["frame"], data["line"], data["transmission"], strict=True)
        for frame, line, counts in rows:
            self.lines[frame][line] = float(np.mean(counts))
        return doc["time"]

    def snapshot(
        self, *, final: bool = False, full: bool = True, message: str = ""
    ) -> dict[str, MeanSpectrum]:
        means = [np.mean(list(lines.values())) if lines else np.nan for lines in self.lines]
        return {"": MeanSpectrum(np.array(means), message)}


def draw(figure: Any, snapshot: MeanSpectrum) -> None:
    """Draw the spectrum."""
    figure.add_subplot().plot(snapshot.counts)


ANALYSIS = Analysis(
    name="mean_spectrum",
    title="mean spectrum",
    accepts=lambda start: start.get("plan_name") == "stxm_energy_stack",
    reader=MeanReader,
    snapshot=MeanSpectrum,
    draw=draw,
)
