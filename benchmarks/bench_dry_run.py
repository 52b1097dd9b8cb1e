"""How long the dry run of a night takes: the command, from its start to its table.

``python -m benchmarks.bench_dry_run`` prints it; `rows` returns it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from redoxscope.beamline import simulated_text

Row = dict[str, object]

NIGHT = """\
import time

import bluesky.plan_stubs as bps

from redoxscope import start_session
from redoxscope.plans import energy_stack

with start_session("mine.yml") as s:
    for k in range(26):
        for edge in ("Mn L3", "Ni L3"):
            s.RE(energy_stack(s.stxm, edge=edge, center=(20 * k, 0), size=5, pixels=80))
        s.RE(bps.mv(s.stxm.osa.x, k % 5))
        time.sleep(60)
"""


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        text = simulated_text("BL:").replace("simulated: true", "simulated: false")
        (there / "mine.yml").write_text(text, encoding="utf-8")
        (there / "night.py").write_text(NIGHT, encoding="utf-8")
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from redoxscope.cli import main; main()", "dry-run",
             "night.py", "--beamline", "mine.yml", "--json", "night.json"],
            cwd=there, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        account = json.loads((there / "night.json").read_text(encoding="utf-8"))
    hours = account["total_s"] / 3600
    return [
        {"what": "dry run of a night, start of Python included", "unit": "s", "target": 30.0,
         "value": seconds,
         "reference": f"{hours:.1f} h at the beamline, {len(account['runs'])} runs"},
    ]  # fmt: skip


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
