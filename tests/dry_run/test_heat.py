"""A dry run of heating and spectra: hours pass at once, and each of them is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from redoxscope.beamline import simulated_text

SCRIPT = """\
import bluesky.plan_stubs as bps
import bluesky.plans as bp

from redoxscope import start_session
from redoxscope.plans import estimate, measure_during_ramp, ramp_and_soak, xas

with start_session("mine.yml") as s:
    spectrum = dict(energies=[640.0, 641.0, 642.0], dwell=2.0)
    soak = dict(rate=2, soak=5 * 3600)
    ramp = dict(rate=2, detectors=[s.rga, s.chamber], every=180)
    for plan in (lambda: xas(s.xas_station, **spectrum),
                 lambda: ramp_and_soak(s.heater, 100, **soak),
                 lambda: measure_during_ramp(s.heater, 25, 600, **ramp),
                 lambda: bp.scan([s.rga], s.heater, 25, 200, 8)):
        print("estimate", estimate(plan()).total)
        s.RE(plan())
    s.RE(bps.mv(s.heater.soaking, 3600))
    print("soaked", s.heater.soaked.in_band_s)
    for wrong in (lambda: ramp_and_soak(s.heater, 100, rate=2, soak=60, timeout=30),
                  lambda: ramp_and_soak(s.heater, 700, rate=2)):
        try:
            s.RE(wrong())
        except Exception as error:
            print("refused", error)
"""
AMBIENT, SETTLE = 20.0, 60.0


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Runs of the dry run, and what the script printed, by its first word."""
    folder = tmp_path_factory.mktemp("night")
    (folder / "night.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "mine.yml").write_text(simulated_text(""), encoding="utf-8")
    code = "from redoxscope.cli import main; main()"
    command = [sys.executable, "-c", code, "dry-run", "night.py", "--beamline", "mine.yml"]
    environment = {**os.environ, "REDOXSCOPE_DATA": str(folder / "data")}
    options = {"env": environment, "cwd": folder, "capture_output": True, "text": True}
    done = subprocess.run([*command, "--json", "dry.json"], **options)
    assert done.returncode == 1, done.stderr  # one plan would fail
    said = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        said.setdefault(word, []).append(rest)
    return json.loads((folder / "dry.json").read_text()), said


def seconds(way, rate=2.0):
    return abs(way) / rate * 60 + SETTLE


def test_each_hour_is_counted(night):
    account, _ = night
    spectrum, soak, ramp, scan = account["runs"][:4]
    assert [run["plan"] for run in account["runs"][1:3]] == ["ramp_and_soak", "measure_during_ramp"]
    assert spectrum["live_s"] == pytest.approx(6.0)
    safe = 30.0
    wanted = seconds(100 - AMBIENT) + 5 * 3600 + seconds(100 - safe)
    assert soak["duration_s"] == pytest.approx(wanted, rel=0.02)
    wanted = seconds(safe - 25) + seconds(575)
    assert ramp["duration_s"] == pytest.approx(wanted, rel=0.02)
    assert scan["duration_s"] == pytest.approx(seconds(5) + 7 * seconds(25), rel=0.02)
    assert account["total_s"] == pytest.approx(
        sum(run["duration_s"] for run in account["runs"]) + 3600, abs=10
    )


def test_the_estimates_say_the_same(night):
    account, said = night
    told = [float(text) for text in said["estimate"]]
    foretold = [run["duration_s"] for run in account["runs"][:4]]
    assert told == pytest.approx(foretold, rel=0.02, abs=5.0)


def test_a_soak_by_itself_is_over_at_once_too(night):
    assert night[1]["soaked"] == ["3600.0"]


def test_what_would_be_refused_is_told_and_nothing_is_heated(night):
    account, said = night
    assert [run["ok"] for run in account["runs"]] == [True] * 4 + [False]
    assert "700 degC is outside its limits" in account["runs"][4]["error"]
    assert "timeout = 30 s is shorter than the soak of 60 s" in said["refused"][0]
    assert "700 degC is outside its limits, 10 to 600 degC" in said["refused"][1]
