"""Figures of files: a line into an NXstxm file, an export, an import.

``python -m benchmarks.bench_files`` prints them; `rows` returns them.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.formats import read_stxm
from redoxscope.plans.support import stack_start
from redoxscope.scan import Region, stack_scan
from redoxscope.storage import open_catalog
from redoxscope.storage.nxstxm import NxstxmRecorder
from redoxscope.stxm_files import import_stxm, stack_documents

Row = dict[str, object]
ENERGIES, SIDE = 60, 200


def documents() -> list[tuple[str, dict[str, Any]]]:
    """A stack of 60 energies of 200 x 200 pixels, a page for each line."""
    region = Region((0.0, 0.0), (5.0, 5.0), (SIDE, SIDE))
    energies = np.linspace(635, 660, ENERGIES).tolist()
    scan = stack_scan(energies=energies, regions=[region], dwell=1e-3)
    start = {**stack_start(scan, ["transmission", "i0"]), "uid": "bench", "time": 1.7e9}
    found: list[tuple[str, dict[str, Any]]] = [("start", start)]
    found.append(("descriptor", {"uid": "d", "run_start": "bench", "name": "primary"}))
    counts = np.random.default_rng(1).poisson(1000, (ENERGIES, SIDE, SIDE)).astype(float)
    x = np.linspace(-2.5, 2.5, SIDE).tolist()
    for frame, energy in enumerate(energies):
        for line in range(SIDE):
            values = counts[frame, line].tolist()
            data = {
                "frame": frame, "line": line, "line_status": 0, "energy": energy, "sample_x": x,
                "sample_y": [0.0] * SIDE, "transmission": values, "i0": values,
            }  # fmt: skip
            page = {key: [value] for key, value in data.items()}
            number = frame * SIDE + line + 1
            found.append(("event_page", {"descriptor": "d", "seq_num": [number], "data": page}))
    return [*found, ("stop", {"run_start": "bench", "time": 1.7e9})]


def rows() -> list[Row]:
    """Rows of the table."""
    run = documents()
    pixels = ENERGIES * SIDE * SIDE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nxs"
        recorder = NxstxmRecorder(path, run[0][1])
        begin = time.perf_counter()
        recorder(*run[1])
        laid = time.perf_counter()
        for name, doc in run[2:-1]:
            recorder(name, doc)
        written = time.perf_counter()
        recorder(*run[-1])
        size = path.stat().st_size
        at = time.perf_counter()
        found = read_stxm(path)
        read = time.perf_counter()
        lines = sum(len(doc["seq_num"]) for name, doc in stack_documents(found) if "page" in name)
        made = time.perf_counter()
        data = Path(folder) / "data"
        catalog = open_catalog("redoxscope", directory=data)
        opened = time.perf_counter()
        import_stxm(found, catalog, data=data)
        stored = time.perf_counter()
    of = f"{ENERGIES} energies of {SIDE} x {SIDE} pixels with a monitor"
    return [
        {
            "what": "a line of 200 pixels into an NXstxm file", "unit": "ms", "target": 1,
            "value": 1e3 * (written - laid) / (ENERGIES * SIDE),
            "reference": f"on a thread of its own; laid out in {laid - begin:.2f} s, "
            f"{size / 1e6:.0f} MB",
        },
        {
            "what": "NXstxm written, from documents", "unit": "Mpx/s", "target": None,
            "value": pixels / 1e6 / (written - begin), "reference": of,
        },
        {
            "what": "NXstxm read for import", "unit": "Mpx/s", "target": None,
            "value": pixels / 1e6 / (read - at), "reference": of,
        },
        {
            "what": "documents of an imported stack", "unit": "lines/s", "target": None,
            "value": lines / (made - read), "reference": "before the log and the catalog",
        },
        {
            "what": "an import, from what was read to the catalog", "unit": "lines/s",
            "target": None, "value": lines / (stored - opened),
            "reference": "documents, their log and the embedded catalog: "
            f"{pixels / 1e6 / (stored - opened):.2f} Mpx/s",
        },
    ]  # fmt: skip


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
