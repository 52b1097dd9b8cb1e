"""The TES and servers that end, restart, differ, or were left in a mess by somebody else."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky.utils import FailedStatus

from redoxscope.devices import DeviceError
from redoxscope.devices.tes import DastardError
from redoxscope.devices.tes._rpc import JsonRpc
from redoxscope.formats import read_photon_list
from redoxscope.sim import SimulatedDastard

from .parts import SPEED, WAIT, make_tes, measure, one_run, plan, totals, truth


def start(folder, **kwargs):
    server = SimulatedDastard(speed=SPEED, seed=1, data=folder / "dastard", **kwargs)
    server.beam(energy=640.0, open=True)
    return server


@pytest.fixture
def server(tmp_path):
    with start(tmp_path) as running:
        yield running


@pytest.fixture
def tes(server, tmp_path):
    device = make_tes(server, tmp_path)
    yield device
    device.destroy()


def test_a_server_that_dies_within_a_point(server, tes, RE, docs):
    """The plan fails with what happened; started again, the next run is whole."""
    tes.dwell.put(50.0)
    seen = threading.Event()
    end = tes.subscribe_batches(lambda batch: seen.set())
    threading.Thread(target=lambda: (seen.wait(WAIT), server.kill()), daemon=True).start()
    with pytest.raises(FailedStatus) as caught:
        RE(plan(tes, 3))
    end()
    error = caught.value.__cause__ or caught.value
    assert isinstance(error, DeviceError)
    assert f"127.0.0.1:{server.base + 1} closed its connection" in str(error)
    assert docs["stop"][-1]["exit_status"] == "fail"
    list_of_first = tes.photon_list.get()
    assert len(read_photon_list(list_of_first)) > 0  # what came is kept

    with pytest.raises(DeviceError, match=f":{server.base + 1} .*not reachable"):
        tes.time_limit.put(0.5)
        tes.stage().wait(WAIT)
    tes.unstage().wait(WAIT)
    tes.time_limit.put(10.0)

    server.restart()
    tes.dwell.put(1.0)
    RE(plan(tes, 2))
    assert docs["stop"][-1]["exit_status"] == "success"
    events = [e for e in docs["event"] if "tes_point" in e["data"]]
    assert [e["data"]["tes_point"] for e in events] == [0, 1]
    assert all(e["data"]["tes_counts"] > 100 for e in events)
    assert docs["event"][-1]["data"]["tes_total_lost"] == 0


def test_a_server_restarted_between_points(server, tes):
    tes.stage().wait(WAIT)
    measure(tes)
    server.kill()
    server.restart()
    with pytest.raises(DeviceError, match="restarted"):
        for _ in range(3):
            measure(tes)
    with pytest.raises(DeviceError, match="restarted"):
        totals(tes)
    tes.unstage().wait(WAIT)
    points, total = one_run(tes, 2)
    assert points[1]["tes_counts"] > 100
    assert total["tes_total_lost"] == 0


def test_a_client_that_died_leaves_nothing_in_the_way(server, tes, tmp_path):
    tes.stage().wait(WAIT)
    tes.dwell.put(100.0)
    tes.trigger()
    tes.destroy()  # as a killed process: the server goes on writing
    other = make_tes(server, tmp_path)
    other.client.wait_for("WRITING", lambda w: w["Active"], "it is writing")
    points, _ = one_run(other, 1)
    assert points[0]["tes_point"] == 0
    assert not other.client.writing
    other.destroy()


def test_destroyed_within_a_point_fails_nobody_for_ever(server, tes):
    tes.stage().wait(WAIT)
    tes.dwell.put(100.0)
    status = tes.trigger()
    tes.destroy()
    status.wait(WAIT)
    tes.destroy()  # again is no error


@pytest.mark.parametrize("source", ["ABACO", "LANCERO"])
def test_other_readouts(tmp_path, source):
    with start(tmp_path, source_name=source) as server:
        name = "LANCEROSOURCE" if source == "LANCERO" else None
        tes = make_tes(server, tmp_path, source=name)
        points, total = one_run(tes, 2)
        assert points[0]["tes_counts"] > 100
        assert total["tes_total_lost"] == 0
        numbers = tes.client.pixels()
        assert len(tes.pixels) == 240
        assert (numbers < 0).sum() == (240 if source == "LANCERO" else 0)
        tes.destroy()


def test_a_source_that_nobody_knows(server, tmp_path):
    tes = make_tes(server, tmp_path, source="NOSUCHSOURCE")
    with pytest.raises(DastardError, match=f"{server.base} starts no source: NOSUCHSOURCE"):
        tes.stage().wait(WAIT)
    tes.destroy()


def test_no_projectors(tmp_path):
    with start(tmp_path, options={"no-projectors": True}) as server:
        tes = make_tes(server, tmp_path)
        with pytest.raises(DastardError, match=f"{server.base} has no projectors"):
            tes.stage().wait(WAIT)
        tes.unstage().wait(WAIT)
        tes.destroy()


def test_projectors_that_were_given_are_sent(tmp_path):
    from redoxscope.devices.tes import Projectors
    from redoxscope.sim.physics.tes import TesArray

    pulses = TesArray(240, 1).pulses
    with start(tmp_path, options={"no-projectors": True}) as server:
        tes = make_tes(server, tmp_path)
        one = Projectors(pulses.projectors, pulses.basis, "test")
        tes.client.projectors = dict.fromkeys(range(240), one)
        points, _ = one_run(tes, 1)
        assert points[0]["tes_counts"] > 100
        tes.destroy()


@pytest.mark.parametrize("call", ["Stop", "ConfigureTriggers", "ConfigurePulseLengths"])
def test_another_client_that_changes_the_server_ends_the_run(server, tes, call):
    """Started again it would be without its triggers: no photons, which is no damage either."""
    tes.dwell.put(50.0)
    tes.stage().wait(WAIT)
    other = JsonRpc("127.0.0.1", server.base)
    arguments = {
        "Stop": "",
        "ConfigureTriggers": {"ChannelIndices": [3], "AutoTrigger": True},
        "ConfigurePulseLengths": {"Nsamp": 512, "Npre": 100},
    }
    if call == "ConfigurePulseLengths":
        other.call("WriteControl", {"Request": "Stop"})
    point = tes.trigger()
    other.call(call, arguments[call])
    with pytest.raises(DastardError, match=r"changed within the run: .* Another client\?"):
        point.wait(WAIT)
    with pytest.raises(DastardError, match="changed within the run"):
        tes.trigger()
    other.close()
    tes.unstage().wait(WAIT)


def test_two_clients_see_the_same(server, tes, tmp_path):
    """Another display may listen while a run goes on, without touching it."""
    tes.stage().wait(WAIT)
    other = make_tes(server, tmp_path)
    (point,) = measure(tes)
    assert point["tes_counts"] > 100
    other.destroy()
    measure(tes)
    tes.unstage().wait(WAIT)


def test_a_wrong_time_scale_is_refused(server, tes):
    tes.stage().wait(WAIT)
    measure(tes, 1)
    tes.client.status.wait_for(
        "TRIGGERRATE",
        lambda _: tes._receiver._last and tes._receiver._last[1] - tes._receiver._first[1] > 2.0,
        WAIT,
        what="it counts",
    )
    tes.unstage().wait(WAIT)
    tes.time_scale.put(1.0)
    with pytest.raises(
        DastardError, match=r"clock runs [\d.]+ s per second here, but time_scale is 1"
    ):
        tes.stage().wait(WAIT)
    tes.unstage().wait(WAIT)
    tes.time_scale.put(SPEED)
    one_run(tes, 1)


@pytest.mark.slow
def test_a_calibration_from_its_own_photons(tmp_path):
    """Of a reference sample: the pixels that are bad are found, and spectra are right after it.

    With so many pixels as a server can draw on a busy machine at this speed.
    """
    n = 40
    with SimulatedDastard(
        speed=30.0,
        seed=1,
        data=tmp_path / "dastard",
        sample="reference",
        options={"pixels": n},
    ) as server:
        server.beam(energy=1000.0, open=True)
        tes = make_tes(server, tmp_path)
        tes.set_calibration(truth(1, n))
        tes.time_limit.put(100.0)
        truly = {p.channel for p in tes.calibration.pixels if p.ok}
        tes.set_calibration(None)
        tes.calibrating.put(True)
        tes.calibrator.elastic.put(1000.0)
        tes.dwell.put(10.0)
        tes.stage().wait(WAIT)
        measure(tes, 30)
        totals(tes)
        tes.calibrator.trigger().wait(200)
        made = {key: reading["value"] for key, reading in tes.calibrator.read().items()}
        assert made["tes_calibration_uid"] == tes.calibration.uid == tes.calibration_uid.get()
        assert made["tes_pixels_ok"] == sum(made["tes_pixel_ok"]) == len(tes.calibration.usable)
        assert set(tes.calibration.usable) <= truly
        assert len(tes.calibration.usable) >= 0.9 * len(truly)
        for key, description in tes.calibrator.describe().items():
            assert description["shape"] == ([n] if "pixel_" in key else [])
        tes.unstage().wait(WAIT)

        tes.calibrating.put(False)
        points, _ = one_run(tes, 1)
        spectrum = np.array(points[0]["tes_spectrum"])
        elastic = tes.bins.centers[1500:][np.argmax(spectrum[1500:])]  # from 950 eV
        assert elastic == pytest.approx(1000.0, abs=1.0)
        tes.destroy()
