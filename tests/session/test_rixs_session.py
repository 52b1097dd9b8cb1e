"""Sessions with a spectrometer, its calibrations, and ``redoxscope demo rixs``."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from redoxscope.data import rixs_preset
from redoxscope.demo import run_rixs
from redoxscope.demo._rixs import chi2_dof
from redoxscope.session._spectrometer import CalibrationStore, WindowStore

from ..devices.tes.parts import truth

SUMMARY_KEYS = {
    "uid", "edge", "passes", "points", "photons", "photons_late", "photons_lost", "pixels_used",
    "pfy_chi2_dof", "spfy_significance", "map_latency_ms_p95",
}  # fmt: skip


def test_calibrations_are_kept_by_beamline(tmp_path, caplog):
    store = CalibrationStore(tmp_path / "calibrations", "here")
    assert store.newest() is None
    old = replace(truth(1, 8), uid="old", created=1000.0)
    new = replace(truth(2, 8), uid="new", created=2000.0)
    for calibration in (new, old):
        store.keep(calibration)
    CalibrationStore(store.directory, "there").keep(replace(new, uid="other", created=3000.0))
    assert store.newest().uid == "new"
    found = store.load("old")
    height, base = np.full(8, 5000.0), np.zeros(8)
    channels = np.arange(1, 9)
    np.testing.assert_array_equal(
        found.energy(channels, height, base), old.energy(channels, height, base)
    )
    with pytest.raises(ValueError, match="no calibration 'other' of beamline 'here'"):
        store.load("other")
    (store.directory / "broken.json").write_text("{")
    assert store.newest().uid == "new"
    assert "broken.json is no calibration" in caplog.text


def test_windows_are_kept_by_edge(tmp_path):
    windows = WindowStore(tmp_path / "new" / "windows.yml")
    assert windows["O K"] == rixs_preset("O K").windows
    windows.save("O K", ["oxo=sPFY[522:525]", "TFY"])
    again = WindowStore(windows.path)
    assert [str(w) for w in again["O K"]] == ["oxo=sPFY[522:525]", "TFY"]
    assert again["Co L"] == rixs_preset("Co L").windows
    with pytest.raises(ValueError, match="Fe L"):
        again["Fe L"]


def test_a_session_without_spectrometer_says_what_it_has():
    from redoxscope import start_session

    with start_session(speed=50) as s:
        with pytest.raises(AttributeError, match="this session has no 'tes'"):
            _ = s.tes
        assert "tes" not in s.devices


def test_a_server_that_is_not_there_is_named(tmp_path, monkeypatch):
    from redoxscope.beamline import load_beamline, simulated_text
    from redoxscope.devices import TES, DeviceError
    from redoxscope.session import Session
    from redoxscope.sim import Simulation, free_port

    connect = TES.connect  # the microscope may take its time, a missing server need not
    monkeypatch.setattr(TES, "connect", lambda tes, timeout: connect(tes, 0.5))
    port = free_port()
    with Simulation(speed=50) as running:
        file = tmp_path / "beamline.yml"
        file.write_text(simulated_text(running.prefix, port=port), "utf-8")
        with pytest.raises(DeviceError, match="127.0.0.1:.* not reachable"):
            Session(load_beamline(file), simulation=None, data=tmp_path, timeout=60.0).close()


@pytest.mark.slow
def test_demo_rixs(tmp_path):
    energies = [528.0, 528.6, 529.2, *np.arange(530.2, 532.0, 0.2).round(1).tolist(), 545.0, 555.0]
    stages = []
    result = run_rixs(
        edge="O K",
        energies=energies,
        passes=5,
        speed=20,  # a busy machine has to make the photons, too
        out=tmp_path,
        window=False,
        calibration_time=80.0,
        on_stage=lambda name, points: stages.append((name, points)),
    )
    assert stages == [("calibration", 8), ("map", 5 * len(energies))]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == result.summary and SUMMARY_KEYS <= summary.keys()
    assert summary["exit_status"] == "success"
    assert summary["points"] == 5 * len(energies)
    assert summary["pixels_used"] == 64 and summary["pixels_calibrated"] > 200
    assert summary["photons"] > 2000
    assert summary["spfy_significance"] > 3  # about 6: a tenth of a real run
    assert 0.2 < summary["pfy_chi2_dof"] < 2.5  # 13 points
    assert (tmp_path / "rixs_map.png").stat().st_size > 50_000
    from redoxscope.storage import open_catalog

    run = open_catalog()[summary["uid"]]
    assert len(run["primary"].read()["energy"]) == summary["points"]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"edge": "Fe L"}, "Fe L"),
        ({"sample": "gold"}, "gold"),
        ({"passes": 0}, "passes = 0"),
        ({"speed": 0.0}, "speed"),
        ({"seed": -1}, "seed"),
        ({"simulation_options": {"fault": ["dastard nothing"]}}, "unknown fault 'nothing'"),
    ],
)
def test_demo_rixs_refuses_before_it_starts(tmp_path, options, says):
    begun: list[bool] = []
    with pytest.raises(ValueError, match=says):
        run_rixs(out=tmp_path / "out", window=False, on_begin=lambda: begun.append(True), **options)
    assert not begun and not (tmp_path / "out").exists()


def test_chi2_has_one_free_scale():
    rng = np.random.default_rng(5)
    expected = rng.uniform(20, 400, 400)
    counts = rng.poisson(3.0 * expected)
    exposure = rng.uniform(0.5, 2.0, 400)
    value = counts / exposure
    assert chi2_dof(value, counts, expected / exposure) == pytest.approx(1, abs=0.2)
    assert chi2_dof(value, counts, (expected + 40) / exposure) > 1.5
    assert chi2_dof(value[:1], counts[:1], expected[:1]) is None
