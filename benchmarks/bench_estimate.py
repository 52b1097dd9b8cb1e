"""Estimated against measured duration of a short stack and a short RIXS map at ``--speed 1``.

``python -m benchmarks.bench_estimate`` prints them; `rows` returns them. Measured is to the stop
document: then the beamline is free; maps are finished after it. Also what the progress of a run
costs per line on the RunEngine's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from redoxscope import start_session

Row = dict[str, object]
STACK = [640.0, 641.0, 641.6, 642.4, 643.2, 644.4]
PIXELS = 40
POINTS = [520.0, 530.0, 540.0]


def _measured(session: object, plan: object) -> dict[str, float]:
    """How long it took from the call to the stop document (s); what came before and after."""
    times: dict[str, float] = {}

    def note(name: str, doc: dict) -> None:
        if name in ("start", "stop"):
            times[name] = doc["time"]

    token = session.RE.subscribe(note)
    called = time.time()
    session.RE(plan)
    returned = time.time()
    session.RE.unsubscribe(token)
    return {
        "total": times["stop"] - called,
        "begin": times["start"] - called,
        "end": returned - times["stop"],
    }


def _row(what: str, foreseen: object, took: dict[str, float]) -> Row:
    parts = (
        f"live {foreseen.live:.1f}, motion {foreseen.motion:.1f}, software "
        f"{foreseen.software:.1f} s; start document after {took['begin']:.2f} s, prompt back "
        f"{took['end']:.2f} s after the stop document"
    )
    return {
        "what": f"measured / estimated duration, {what}",
        "value": took["total"] / foreseen.total,
        "unit": "",
        "target": "0.95-1.05",
        "reference": f"{took['total']:.2f} of {foreseen.total:.2f} s ({parts})",
    }


def stack_row() -> Row:
    """A stack of few and small images, which has the largest share of software."""
    from redoxscope.plans import estimate, execute
    from redoxscope.scan import stack_scan

    region = {"center": [0, 0], "size": [6, 6], "pixels": [PIXELS, PIXELS]}
    scan = stack_scan(energies=STACK, regions=[region], dwell=0.002, edge="Mn L3")
    with start_session(speed=1.0) as s:
        for _ in range(2):  # the first has imports to do and channels to open
            foreseen = estimate(scan, s.stxm)
            took = _measured(s, execute(s.stxm, scan))
    return _row(f"stack, {len(STACK)} images", foreseen, took)


def rixs_row() -> Row:
    """A RIXS map of few points, without a calibration of its own worth."""
    from redoxscope.analysis.tes import Calibration, PixelCalibration
    from redoxscope.plans import estimate, rixs_map
    from redoxscope.scan import points_scan

    scan = points_scan(energies=POINTS, dwell=2.0, passes=2)
    with start_session(speed=1.0, tes=True) as s:
        channels = s.tes.pixels.tolist() or range(1, 241)
        pixels = tuple(PixelCalibration(n, True, "", (0.1, 0.0, 0.0, 0.0)) for n in channels)
        s.tes.set_calibration(Calibration(pixels))
        for _ in range(2):
            foreseen = estimate(scan, s.tes, s.mono)
            took = _measured(s, rixs_map(s.tes, s.mono, scan=scan))
    return _row(f"RIXS map, {2 * len(POINTS)} points", foreseen, took)


def _per_call_us(function: Callable[[], object], n: int = 20_000) -> float:
    begin = time.perf_counter()
    for _ in range(n):
        function()
    return (time.perf_counter() - begin) / n * 1e6


def progress_rows() -> list[Row]:
    """What one line costs more, with the progress of the run and its bar."""
    import io
    import sys

    from ophyd.status import Status

    from redoxscope.plans import RunProgress, RunProgressBar
    from redoxscope.plans._schedule import Schedule

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    n = 1000
    zeros = np.zeros(n)
    times = Schedule(zeros + 1, zeros + 10, zeros, zeros, np.full(n, 100), 0.1, 0.1)
    progress, bar, status = RunProgress(times), RunProgressBar(Terminal()), Status()
    status.watch = progress.watch
    lines = iter(range(100 * n))

    def line() -> None:
        frame, number = divmod(next(lines), 100)
        progress("event_page", {"data": {"frame": [frame], "line": [number]}})
        bar({status})
        bar(None)

    cost = _per_call_us(line)
    progress.end()
    status.set_finished()
    print(file=sys.stderr)
    return [
        {"what": "progress of a run, a line on the RunEngine's thread", "value": cost / 1e3,
         "unit": "ms", "target": 0.1, "reference": "event and waiting hook, the bar drawn beside"},
    ]  # fmt: skip


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [stack_row(), rixs_row(), *progress_rows()]


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
