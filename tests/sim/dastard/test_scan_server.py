"""The scan-server protocol beside the simulated Dastard."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from redoxscope.formats import read_experiment_state, read_tes_log
from redoxscope.sim import SimulatedDastard, free_port

from .client import PATIENCE, Client

SPEED = 20.0


class ScanClient:
    """A connection per call, as the clients at beamlines do it."""

    def __init__(self, port):
        self._port = port

    def __call__(self, method, *params, **kwargs):
        with socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE) as sock:
            request = {"method": method, "params": list(params), "kwargs": kwargs}
            sock.sendall(json.dumps(request).encode())
            text = ""
            while True:
                text += sock.recv(4096).decode()
                try:
                    return json.loads(text)
                except json.JSONDecodeError:
                    continue

    def good(self, method, *params, **kwargs):
        reply = self(method, *params, **kwargs)
        assert reply["success"], reply
        return reply["response"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    folder = tmp_path_factory.mktemp("runs")
    with SimulatedDastard(
        speed=SPEED, data=folder, sample="reference", options={"scan-server": port}
    ) as running:
        running.scan_port = port
        yield running


@pytest.fixture
def scans(server):
    server.beam(open=True, energy=980.0)
    return ScanClient(server.scan_port)


def test_a_scan_from_beginning_to_end(server, scans):
    assert scans.good("state") == "no_file"
    scans.good("start_lancero")
    scans.good("set_pulse_triggers")
    scans.good("file_start", write_ljh=False, write_off=True)
    scans.good("roi_set", {"all": [200, 1600], "elastic": [970, 990], "none": [1200, 1600]})
    assert scans.good("roi_get")["elastic"] == [970.0, 990.0]
    pattern = scans.good("filename")
    with Client(server.base) as dastard:  # the seconds pass on its clock
        scans.good("scan_start", "mono", "eV", 1, "mixture", extra={"pass": 0})
        assert scans.good("scan_str") == "SCAN0" and scans.good("scan_num") == 0
        counts, least, most = [], [], []
        for value in (980.0, 981.0):
            asked = time.monotonic()
            scans.good("scan_point_start", value)
            begun = time.monotonic()
            assert scans.good("state") == "scan_point"
            dastard.more("TRIGGERRATE", 2)
            ending = time.monotonic()
            scans.good("scan_point_end")
            least.append(SPEED * (ending - begun))
            most.append(SPEED * (time.monotonic() - asked))
            counts.append(scans.good("roi_get_counts"))
        scans.good("roi_save_counts")
        scans.good("scan_end", _try_post_processing=False)
    for count in counts:
        assert count["all"] > 1000 and 20 < count["elastic"] < count["all"] / 2
        assert count["none"] < 10
    scans.good("file_end")
    assert scans.good("state") == "no_file"

    folder = Path(pattern).parent
    log = read_tes_log(folder / "logs" / "scan0000.json")
    assert log.kind == "data" and log.problem is None and log.sample == "mixture"
    (points,) = [found.points for found in log.passes]
    assert [energy for energy, *_ in points] == [980.0, 981.0]
    lasted = np.array([1e-9 * (end - start) for _, start, end in points])  # on the server's clock
    assert (lasted > 0.99 * np.array(least)).all() and (lasted < 1.01 * np.array(most)).all()
    header = json.loads((folder / "logs" / "scan0000.json").read_text())
    twin = Path(header["user_output_dir"]) / "scan0000.json"
    assert twin.read_text() == (folder / "logs" / "scan0000.json").read_text()
    labels = read_experiment_state(pattern % ("experiment_state", "txt")).labels
    assert labels == ("START", "SCAN0", "PAUSE", "STOP")


def test_calls_out_of_turn(scans):
    for call, args in (
        ("scan_start", ("mono", "eV", 1, "x")),
        ("file_end", ()),
        ("scan_point_end", ()),
        ("scan_end", ()),
    ):
        reply = scans(call, *args)
        assert not reply["success"]
        assert f"TransitionNotAllowed: Can't {call} when in no_file" in reply["response"]
    assert not scans("file_start", 1, 2, 3, 4, 5)["success"]  # too many arguments
    assert "no method warp" in scans("warp")["response"]


def test_a_calibration(server, scans):
    scans.good("start_lancero")
    scans.good("set_pulse_triggers")
    scans.good("file_start")
    pattern = scans.good("filename")
    scans.good("calibration_start", "mono", "eV", 2, "mixture", "ssrl_10_1_mix_cal")
    with Client(server.base) as dastard:
        scans.good("scan_point_start", 980.0)
        dastard.more("TRIGGERRATE")
        scans.good("scan_point_end")
    scans.good("scan_end")
    scans.good("calibration_learn_from_last_data")
    scans.good("file_end")
    log = read_tes_log(Path(pattern).parent / "logs" / "calibration0000.json")
    assert log.kind == "cal" and log.mono_ev == 980.0


def test_errors_of_the_server_behind_it(scans):
    """What Dastard refuses, and a state that stays as it was."""
    scans.good("start_lancero")
    reply = scans("file_start", write_off=False)
    assert not reply["success"] and "WriteOFF and WriteLJH3 all false" in reply["response"]
    assert scans.good("state") == "no_file"
