"""The same script, foretold and really measured on the simulated beamline at its own speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from redoxscope.beamline import simulated_text

SCRIPT = """\
import json
import sys

from redoxscope import start_session
from redoxscope.plans import energy_stack

foretold = [float(argument) for argument in sys.argv[2:]]
times = []
with start_session(speed=1) as s:
    s.RE.subscribe(lambda name, doc: times.append([name, doc["time"]]) if name in ("start", "stop")
                   else None)
    for k in range(8 if foretold else 2):
        s.RE(energy_stack(s.stxm, energies=[640.0, 641.0, 643.0], size=4, pixels=(20, 4),
                          dwell=0.02))
        # The second and later ones begin where the first has ended.
        if foretold and times[-1][1] - times[-2][1] < 1.05 * foretold[min(k, 1)]:
            break
if foretold:
    with open(sys.argv[1], "w") as file:
        json.dump(times, file)
"""


@pytest.mark.slow
def test_times_agree_with_the_simulated_beamline_at_its_own_speed(tmp_path):
    """Runs until a busy machine leaves one alone; 5 % of that one, where it ever does."""
    (tmp_path / "night.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "mine.yml").write_text(simulated_text(""), encoding="utf-8")
    code = "from redoxscope.cli import main; main()"
    dry = [sys.executable, "-c", code, "dry-run", "night.py", "--beamline", "mine.yml"]
    options = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    environment = {**os.environ, "REDOXSCOPE_DATA": str(tmp_path / "data")}
    subprocess.run([*dry, "--json", "dry.json"], env=environment, **options)
    first, later = (
        run["duration_s"] for run in json.loads((tmp_path / "dry.json").read_text())["runs"]
    )
    real = [sys.executable, "night.py", "times.json", str(first), str(later)]
    subprocess.run(real, env=environment, **options)
    stamps = [time for _, time in json.loads((tmp_path / "times.json").read_text())]
    measured = [stop - start for start, stop in zip(stamps[::2], stamps[1::2], strict=True)]
    shares = [took / (later if k else first) for k, took in enumerate(measured)]
    assert min(shares) > 0.95, (measured, first, later)
    assert min(shares) < (1.05 if len(shares) < 8 else 1.25), (measured, first, later)
