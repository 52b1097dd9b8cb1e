"""From the start of Python to a session that measures.

``python -m benchmarks.bench_session`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

Row = dict[str, object]
TRIES = 3
CODE = """
from redoxscope import start_session
with start_session(speed=10, tes={tes}) as s:
    print("ready", flush=True)
"""


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [
        {
            "what": f"session ready{with_tes}: imports, simulated beamline, every PV connected",
            "value": statistics.median(_ready(tes) for _ in range(TRIES)),
            "unit": "s",
            "target": 5.0,
            "reference": f"median of {TRIES}, each in a process of its own",
        }
        for tes, with_tes in ((False, ""), (True, " with spectrometer"))
    ]


def _ready(tes: bool) -> float:
    begin = time.perf_counter()
    code = CODE.format(tes=tes)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("ready"):
                taken = time.perf_counter() - begin
                run.communicate()
                return taken
    raise RuntimeError(f"no session: exit status {run.returncode}")


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
