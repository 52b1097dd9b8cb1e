"""Absorption spectra: what a point costs beyond the time of its devices.

``python -m benchmarks.bench_xas`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

Row = dict[str, object]
POINTS = 400


def _with_fakes() -> float:
    """Time (ms) of a point whose devices take none: plan, RunEngine and documents."""
    from redoxscope.plans import xas
    from redoxscope.testing import FakeStation, make_engine

    engine, documents = make_engine()
    engine(xas(FakeStation(), zones=[(500.0, 500.0 + 0.1 * (POINTS - 1), 0.1)], dwell=0.1))
    return _between(documents.named("event"))


def _between(events: list[dict[str, Any]]) -> float:
    """Median time (ms) from one event to the next."""
    stamps = [event["time"] for event in events]
    return 1e3 * statistics.median(b - a for a, b in zip(stamps, stamps[1:], strict=False))


def _simulated() -> tuple[float, float]:
    """Time (ms) of a point on the simulated beamline beyond its declared times: steps, flown."""
    from tempfile import TemporaryDirectory

    from redoxscope import start_session
    from redoxscope.plans import xas

    found = []
    with TemporaryDirectory() as folder, start_session(speed=100, tes=False, data=folder) as s:
        for fly in (False, True):
            stamps: list[float] = []
            token = s.RE.subscribe(lambda name, doc, to=stamps: to.append(time.perf_counter()))
            began = time.perf_counter()
            s.RE(xas(s.xas_station, zones=[(640.0, 650.0, 0.1)], dwell=0.1, fly=fly))
            took = time.perf_counter() - began
            s.RE.unsubscribe(token)
            moves = 0.2 + (10.0 / 10.0 if fly else 101 * (0.2 + 0.01))
            found.append(1e3 * (took - (101 * 0.1 + moves) / 100) / 101)
    return found[0], found[1]


def rows() -> list[Row]:
    """Figures of absorption spectra."""
    fakes = _with_fakes()
    steps, flown = _simulated()
    return [
        {
            "what": "point of a spectrum: plan, RunEngine, documents",
            "value": fakes,
            "unit": "ms",
            "target": 5,
            "reference": "devices take no time",
        },
        {
            "what": "point in steps, simulated beamline, beyond declared times",
            "value": steps,
            "unit": "ms",
            "target": None,
            "reference": "conditions at both ends, currents, energy, shutter over CA",
        },
        {
            "what": "point of a flown line, simulated beamline, beyond declared times",
            "value": flown,
            "unit": "ms",
            "target": None,
            "reference": "begin and end of the run included",
        },
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import show

    show(rows())
