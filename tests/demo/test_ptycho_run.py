"""The ptychography demonstration as it runs: real servers, real plans, little of everything."""

from __future__ import annotations

import json

import pytest

from redoxscope.demo import PtychoTold, run_ptycho


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"energies": 2}, "energies = 2"),
        ({"energies": 99}, "energies = 99"),
        ({"sample": "lmr"}, "sample = 'lmr'"),
        ({"size": 0.1}, "size = 0.1 µm"),
        ({"size": float("nan")}, "size = nan"),
        ({"speed": 0.0}, "speed = 0"),
        ({"simulation_options": {"fault": ["camera nonsense"]}}, "nonsense"),
    ],
    ids=["few", "many", "sample", "size", "nan", "speed", "fault"],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path, options, message):
    began = []
    with pytest.raises(ValueError, match=message):
        run_ptycho(out=tmp_path / "out", told=PtychoTold(begin=lambda: began.append(1)), **options)
    assert not began and not (tmp_path / "out").exists()


@pytest.mark.timeout(1200)  # half a minute, but a busy machine computes its frames slowly
def test_a_run_leaves_a_summary_a_picture_and_results(tmp_path, monkeypatch):
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "data"))
    runs, blocks = [], []

    def event(data):
        if "exposure" in data:
            blocks.append(data["exposure"])

    result = run_ptycho(
        energies=3,
        size=0.36,
        speed=20.0,
        out=tmp_path / "out",
        window=False,
        told=PtychoTold(run=lambda start: runs.append(start["plan_name"]), event=event),
    )
    assert result.exit_status == "success" and not result.waiting
    assert runs == ["stxm_energy_stack", "ptychography"] and len(set(blocks)) == 5
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert told["uid"] == result.uid and told["energies"] == [636.0, 641.8, 643.2]
    assert told["places"] == told["places_total"] == 243 and told["frames_left_out"] == 0
    assert told["pixel_nm"] == pytest.approx(5.0, abs=0.1)
    assert told["half_pitch_truth_nm"] < 12  # few places
    assert told["stxm"]["pixels"] > 5
    assert told["ptychography"]["rms_error"] < 0.15
    assert result.picture.exists()
