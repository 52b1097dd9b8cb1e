"""What a stack's software is said to have cost: all that no device declares, and nothing else."""

from __future__ import annotations

import pytest

from redoxscope.demo import StackTiming
from redoxscope.documents import STACK
from redoxscope.scan import Region, stack_scan

NX, NY, DWELL, FLYBACK = 10, 3, 0.01, 0.006
LINE = NX * DWELL


@pytest.mark.parametrize("move", [0.3, 0.002], ids=["slow move", "shorter than the fly-back"])
def test_what_is_declared_is_no_software(move):
    """Lines of an image follow each other after a fly-back; the energy moves during the last."""
    region = Region((0, 0), 5, (NX, NY))
    scan = stack_scan(energies=[640.0, 641.0, 642.0], regions=[region], dwell=DWELL)
    timing = StackTiming()
    start = {"uid": "a", "plan_name": STACK, "scan": scan.as_dict(), "time": 0.0}
    timing("start", start)
    timing("descriptor", {"uid": "d", "run_start": "a", "name": scan.stream_of(0)})
    now, line_ms, energy_ms = 0.0, 0.5, 12.0
    for frame in range(3):
        for line in range(NY):
            now += LINE
            if line:
                now += FLYBACK + line_ms / 1e3
            elif frame:
                now += max(move, FLYBACK) + energy_ms / 1e3
            data = {"frame": [frame], "line": [line], "energy": [640.0], "line_status": [0]}
            page = {"descriptor": "d", "data": data, "timestamps": {"transmission": [now]}}
            timing("event_page", page)
    found = timing.summary(speed=1.0, flyback=FLYBACK, time_to=lambda target, start: move)
    assert found["software_ms_per_line"] == pytest.approx(line_ms)
    assert found["software_ms_per_energy"] == pytest.approx(energy_ms)
