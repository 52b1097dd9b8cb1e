"""The prompt after the last line of a run, and what goes on behind it.

``python -m benchmarks.bench_prompt`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bluesky import RunEngine

from redoxscope.callbacks import OxidationMap, RixsMap
from redoxscope.storage import CatalogWriter, DocumentLog

from ._flyer import SyntheticFlyer, synthetic_stack

Row = dict[str, object]
ENERGIES, SIDE = 59, 170


class _Times:
    """When each document came, and when the stop document had been handled by all."""

    def __init__(self) -> None:
        self.pages: list[float] = []

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        if name == "event_page":
            self.pages.append(time.perf_counter())


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    engine, times = RunEngine({}, context_managers=[]), _Times()
    flyer = SyntheticFlyer(ENERGIES, SIDE)
    lines = flyer.total
    with tempfile.TemporaryDirectory() as folder:
        log = DocumentLog(Path(folder) / "documents")
        live, rixs = OxidationMap(), RixsMap()
        stored = CatalogWriter("redoxscope", log, directory=folder)
        stored.open()  # as a session does before its prompt
        for callback in (log, live, rixs, stored, times):
            engine.subscribe(callback)
        begin = time.perf_counter()
        engine(synthetic_stack(flyer))
        prompt = time.perf_counter()
        last, alone = times.pages[-1], _per_line(times.pages)
        times.pages.clear()
        engine(synthetic_stack(flyer))  # the next run, at once
        beside = _per_line(times.pages)
        stored.wait()
        both = time.perf_counter() - prompt
        live.close()
        rixs.close()
        stored.close()
    whole = f"{lines} lines in {last - begin:.1f} s: RunEngine, log, two maps, catalog"
    return [
        {"what": f"prompt after the last line of {lines}", "value": prompt - last, "unit": "s",
         "target": 0.3, "reference": whole},
        {"what": "line of the next run while the last is stored", "value": beside, "unit": "ms",
         "target": 1.0, "reference": f"{alone:.2f} ms a line with nothing to be stored"},
        {"what": f"two runs of {lines} lines taken and stored", "value": both, "unit": "s",
         "target": None, "reference": "behind the prompt, from the end of the first"},
    ]  # fmt: skip


def _per_line(pages: list[float]) -> float:
    """Median time of a line (ms), ten to a page."""
    return float(np.median(np.diff(pages))) * 1e3 / 10


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
