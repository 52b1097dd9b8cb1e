"""The TES where a scan server has Dastard in its hands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redoxscope.devices.tes import DastardError
from redoxscope.sim import SimulatedDastard, free_port

from .parts import SPEED, WAIT, make_tes, measure, one_run


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    folder = tmp_path_factory.mktemp("dastard")
    with SimulatedDastard(
        speed=SPEED, seed=1, data=folder, options={"scan-server": port}
    ) as running:
        running.scan_port = port
        running.beam(energy=640.0, open=True)
        yield running


def make(server, folder):
    return make_tes(server, folder, backend="scan_server", scan_server_port=server.scan_port)


@pytest.fixture
def tes(server, tmp_path):
    device = make(server, tmp_path)
    yield device
    device.unstage().wait(WAIT)
    device.destroy()


def state(tes):
    return tes._backend.call("state")


def test_runs_are_scans_with_a_point_each(tes):
    (first, second), total = one_run(tes, 2)
    assert first["tes_counts"] > 100
    assert total["tes_total_lost"] == 0
    assert state(tes) == "no_file"
    assert tes.state_label.get() == "SCAN0"
    (log,) = Path(tes.run_directory.get()).glob("logs/*.json")
    logged = json.loads(log.read_text())
    assert logged["var_values"] == [0, 1]
    starts = [1e-9 * point["tes_point_start"] for point in (first, second)]
    assert logged["epoch_time_start_s"] == pytest.approx(starts, abs=1e-5)


def test_abandoned_points_leave_no_state_behind(tes):
    tes.dwell.put(100.0)
    tes.stage().wait(WAIT)
    tes.trigger()
    tes.dwell.put(1.0)
    assert measure(tes)[0]["tes_point"] == 1
    tes.dwell.put(100.0)
    tes.trigger()
    tes.unstage().wait(WAIT)
    assert state(tes) == "no_file"
    tes.dwell.put(1.0)
    one_run(tes, 1)


def test_a_scan_that_somebody_left_open_is_ended(tes):
    for call in (("file_start",), ("scan_start", "mono", "eV", "x", "x"), ("scan_point_start", 1)):
        tes._backend.call(*call)
    assert state(tes) == "scan_point"
    points, _ = one_run(tes, 1)
    assert points[0]["tes_point"] == 0


def test_calibrations_are_told_as_such(tes):
    tes.calibrating.put(True)
    one_run(tes, 1)
    assert tes.state_label.get().startswith("CAL")


def test_one_client_at_a_time_says_who_does_not_answer(tes, server, tmp_path):
    assert state(tes) == "no_file"  # it holds the connection
    other = make(server, tmp_path)
    other.time_limit.put(0.5)
    with pytest.raises(DastardError, match=f"scan server 127.0.0.1:{server.scan_port}: state not"):
        other.stage().wait(WAIT)
    other.destroy()


def test_refusals_are_told(tes, server):
    with pytest.raises(DastardError, match=f"{server.scan_port} refused file_end: .*no_file"):
        tes._backend.call("file_end")
