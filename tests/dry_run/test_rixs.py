"""A dry run with a spectrometer."""

from __future__ import annotations

import json

import pytest

from redoxscope.dry_run._calibration import stand_in

from .test_dry_run import command

TES = """\
  tes: {detector: tes, energy: mono, holder: samples, shutter: blade, ring: dcct}
"""
DEVICES = """\
  samples: {class: sample_holder, prefix: "holder:"}
  tes: {class: tes, host: tes.example.org, port: 5600}
instruments:
"""
SCRIPT = """\
from redoxscope import start_session
from redoxscope.plans import rixs_map, tes_calibrate

with start_session() as s:
    try:
        s.RE(rixs_map(s.tes, s.mono, energies=[530.0, 531.0], passes=2, dwell=3.0))
    except ValueError as error:
        print(error)
    s.RE(tes_calibrate(s.tes, s.mono, time=300))
    s.RE(rixs_map(s.tes, s.mono, energies=[530.0, 531.0], passes=2, dwell=3.0))
    print(f"spots {s.rixs_map.snapshot.features}")
"""


def test_calibration_and_map_are_foretold_and_an_uncalibrated_map_is_refused(mine):
    text = mine.read_text("utf-8").replace("instruments:\n", DEVICES) + TES
    mine.write_text(text, encoding="utf-8")
    (mine.parent / "night.py").write_text(SCRIPT, encoding="utf-8")
    done = command("night.py", "--beamline", mine, "--json", "n.json", cwd=mine.parent,
                   REDOXSCOPE_DATA=str(mine.parent / "kept"))  # fmt: skip
    assert (mine.parent / "n.json").exists(), done.stdout + done.stderr
    account = json.loads((mine.parent / "n.json").read_text())
    assert [(run["plan"], run["ok"]) for run in account["runs"]] == [
        ("rixs_map", False), ("tes_calibrate", True), ("rixs_map", True),
    ], done.stdout  # fmt: skip
    refused, calibrated, mapped = account["runs"]
    assert "is not calibrated" in refused["error"]
    assert calibrated["live_s"] == pytest.approx(300.0)
    assert mapped["live_s"] == pytest.approx(4 * 3.0)
    # Three moves of 1 eV, one of 470 eV back from where it was calibrated, at 10 eV/s.
    assert 12 + 47 + 0.9 < mapped["duration_s"] < 12 + 47 + 6
    assert "spots (not measured)" in done.stdout
    assert not (mine.parent / "kept").exists()


def test_a_stand_in_has_as_many_usable_pixels_as_the_real_one():
    assert len(stand_in(57).usable) == 57
