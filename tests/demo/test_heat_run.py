"""The heating experiment as it runs: real servers, real plans, little of everything."""

from __future__ import annotations

import json

import numpy as np
import pytest

from redoxscope.demo import HeatTold, _heat, run_heat

HOUR = 3600.0


def little(sample, repeats, passes):
    """A spectrum and a map, of few points."""
    mn = [[636.0, 640.0, 1.0], [640.0, 644.0, 0.4], [644.0, 648.0, 1.0]]
    o = [[526.0, 529.0, 1.0], [529.0, 533.0, 0.5], [533.0, 538.0, 1.0]]
    xas = {"zones": mn, "edge": "Mn L", "repeats": repeats, "dwell": 0.2}
    rixs = {"zones": o, "edge": "O K", "passes": passes, "dwell": 2.0}
    return [
        {"plan": "xas", "kwargs": {"station": "xas_station", "sample": sample, **xas}},
        {"plan": "rixs_map", "kwargs": {"tes": "tes", "mono": "mono", "sample": sample, **rixs}},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 1}, "repeats = 1"),
        ({"passes": 0}, "passes = 0"),
        ({"soak": -1.0}, "soak = -1"),
        ({"heat_speed": 0.0}, "heat_speed = 0"),
        ({"speed": float("nan")}, "speed = nan"),
        ({"simulation_options": {"fault": ["heat nonsense"]}}, "nonsense"),
    ],
    ids=["repeats", "passes", "soak", "heat_speed", "speed", "fault"],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path, options, message):
    began = []
    with pytest.raises(ValueError, match=message):
        run_heat(out=tmp_path / "out", told=HeatTold(begin=lambda: began.append(1)), **options)
    assert not began and not (tmp_path / "out").exists()


@pytest.mark.timeout(1200)  # half a minute, but a busy machine draws its photons slowly
def test_an_experiment_leaves_a_summary_and_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(_heat, "measured", little)
    monkeypatch.setattr(_heat, "CALIBRATION_TIME", 60.0)
    runs, heating = [], []
    result = run_heat(
        speed=20.0,
        heat_speed=1500.0,
        soak=1.0 * HOUR,
        repeats=2,
        passes=1,
        out=tmp_path / "out",
        told=HeatTold(
            run=lambda part, start: runs.append((part, start["plan_name"])),
            heating=heating.append,
        ),
    )
    assert runs == [
        ("", "tes_calibrate"),
        ("before", "xas"), ("before", "rixs_map"),
        ("heat", "ramp_and_soak"),
        ("after", "xas"), ("after", "rixs_map"),
    ]  # fmt: skip
    said = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert said["exit_status"] == "success" and len(said["uids"]) == 5
    assert said["soak_in_band_s"] >= HOUR
    assert 0 <= said["overshoot_c"] <= 1 and said["settle_s"] >= 0 and said["wall_s"] > 0
    found = {(one["edge"], one["mode"]): one for one in said["spectra"]}
    assert set(found) == {
        ("Mn L", "TEY"), ("Mn L", "TFY"), ("O K", "PFY"), ("O K", "sPFY"),
    }  # fmt: skip
    # an hour does 45 % of it, and electrons are counted well enough for that
    assert found["Mn L", "TEY"]["significant"] and found["Mn L", "TEY"]["change"] > 0
    assert found["Mn L", "TFY"]["simulated"] == pytest.approx(0, abs=1e-6)
    assert found["Mn L", "TEY"]["simulated"] == pytest.approx(
        found["Mn L", "TEY"]["change"], abs=5 * found["Mn L", "TEY"]["sigma"] + 0.5
    )
    left = [one["time_remaining"] for one in heating if one.get("time_remaining") is not None]
    assert left and np.max(left) > HOUR and np.min(left) >= 0
    assert result.picture.stat().st_size > 10_000 and result.exit_status == "success"
