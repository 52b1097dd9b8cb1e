"""The real queue server on a simulated beamline: it lists, refuses, runs, pauses and ends."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from redoxscope.queue import QueueServer
from redoxscope.queue._redis import Redis
from redoxscope.sim import free_port
from redoxscope.storage import open_catalog, read_log

from .conftest import PATIENCE, Server, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:the catalog is that of")

SMALL = {"energies": [640, 641, 642], "size": 2, "pixels": 6, "dwell": 0.001}
LONG = {"edge": "Mn L3", "size": 4, "pixels": [40, 40], "dwell": 0.02}
"""Seconds at this speed, with a line every 40 ms: enough for a pause to fall into it."""


def of(client, name):
    plans = client.well("plans_allowed", user_group="primary")["plans_allowed"]
    return {parameter["name"]: parameter for parameter in plans[name]["parameters"]}


def newest_log(server):
    """Log of the run that was written to last; it moves when the run is stored."""
    documents = server.data / "documents"
    logs = [*documents.glob("*.jsonl"), *documents.glob("stored/*.jsonl")]
    return max(logs, key=lambda path: path.stat().st_mtime_ns)


def stored(server, uid):
    """A run as another process finds it: the worker stores it after the plan has ended."""
    log = server.data / "documents" / "stored" / f"{uid}.jsonl"
    wait_until(log.exists, f"run {uid} is stored")
    return open_catalog("redoxscope", directory=server.data)[uid]


def newest(server):
    return stored(server, newest_log(server).stem)


def stop_in_log(server):
    """Stop document of the last run, of a session that has ended: stored or not."""
    documents = dict(read_log(newest_log(server)))
    return documents["stop"]


def blade_is_in(beamline):
    """Asked anew: the manager may have told that it is idle before the last monitor comes."""
    return beamline.blade.get(use_monitor=False, timeout=60) == 0


def run_to_the_end(client, *plans):
    client.clear()
    for name, args, kwargs in plans:
        answer = client.add(name, *args, **kwargs)
        assert answer["success"], answer
    client.well("queue_start")
    wait_until(lambda: len(client.history()) == len(plans), "all plans are over")
    client.wait("idle")
    results = [item["result"] for item in client.history()]
    assert [result["exit_status"] for result in results] == ["completed"] * len(plans), results
    return results


def test_plans_are_listed_with_limits_of_the_controller_and_devices_that_are_there(client):
    stack = of(client, "energy_stack")
    assert stack["dwell"]["min"] == "1e-05" and stack["dwell"]["max"] == "10"
    assert "(s)" in stack["dwell"]["description"]
    assert list(stack["stxm"]["annotation"]["devices"].values()) == [["stxm"]]
    heating = of(client, "ramp_and_soak")
    assert (heating["target"]["min"], heating["target"]["max"]) == ("10", "600")
    assert heating["rate"]["max"] == "20"
    assert list(heating["heater"]["annotation"]["devices"].values()) == [["heater"]]
    station = of(client, "xas")["station"]["annotation"]["devices"]
    assert list(station.values()) == [["xas_station"]]
    rixs = of(client, "rixs_map")
    assert list(rixs["tes"]["annotation"]["devices"].values()) == [["tes"]]
    assert "mono" in next(iter(rixs["mono"]["annotation"]["devices"].values()))
    assert rixs["dwell"]["max"] == "30"
    listed = client.well("plans_allowed", user_group="primary")["plans_allowed"]
    assert {"energy_stack", "rixs_map", "xes", "tes_calibrate", "mv"} <= set(listed)
    assert {"xas", "ramp_and_soak", "measure_during_ramp"} <= set(listed)
    assert {"count", "count_with_beam", "scan", "scan_with_beam"} <= set(listed)
    devices = client.well("devices_allowed", user_group="primary")["devices_allowed"]
    assert {"stxm", "energy", "tes", "transmission", "ring"} <= set(devices)


REFUSED = {
    "long-dwell": ("energy_stack", ["stxm"], {**SMALL, "dwell": 11}, ["dwell", "11", "10]"]),
    "short-dwell": (
        "energy_stack",
        ["stxm"],
        {**SMALL, "dwell": 1e-6},
        ["dwell", "1e-06", "1e-05"],
    ),
    "low-energy": ("energy_stack", ["stxm"], {**SMALL, "energies": [300]}, ["300", "[400, 1100]"]),
    "high-energy": ("tes_calibrate", ["tes", "mono"], {"energy": 1500}, ["energy", "1100"]),
    "unknown-edge": ("rixs_map", ["tes", "mono"], {"edge": "O L"}, ["edge", "O K"]),
    "dwell-in-words": ("energy_stack", ["stxm"], {**SMALL, "dwell": "1 ms"}, ["dwell", "1 ms"]),
    "no-such-device": ("energy_stack", ["stxn"], SMALL, ["stxm", "stxn"]),
    "another-device": ("energy_stack", ["ring"], SMALL, ["stxm", "ring"]),
    "no-such-plan": ("energy_stac", ["stxm"], SMALL, ["energy_stac", "allowed"]),
    "no-such-parameter": ("energy_stack", ["stxm"], {"dwel": 1}, ["dwel"]),
    "too-hot": ("ramp_and_soak", ["heater", 700], {"rate": 2}, ["target", "700", "600]"]),
    "too-fast": ("ramp_and_soak", ["heater", 100], {"rate": 50}, ["rate", "50", "20]"]),
    "no-heater": ("ramp_and_soak", ["mono", 100], {"rate": 2}, ["mono", "heater"]),
    "no-edge": ("xas", ["xas_station"], {"edge": "Mn K7"}, ["edge", "Mn K"]),
    "beyond-the-dead-man": (
        "rixs_map",
        ["tes", "mono"],
        {"edge": "O K", "dwell": 31},
        ["31", "30]"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_on_hand_in(client, name):
    plan, args, kwargs, says = REFUSED[name]
    answer = client.add(plan, *args, **kwargs)
    assert not answer["success"]
    for word in says:
        assert word in answer["msg"], answer["msg"]
    assert client.status()["items_in_queue"] == 0


def test_a_stack_runs_to_the_end_and_is_in_the_catalog(client, server, beamline):
    [result] = run_to_the_end(client, ("energy_stack", ["stxm"], {**SMALL, "md": {"who": "queue"}}))
    run = newest(server)
    assert [run.start["uid"]] == result["run_uids"] and run.start["who"] == "queue"
    assert run.metadata["stop"]["exit_status"] == "success"
    assert run["primary"].read()["energy"].shape[0] == 18
    assert blade_is_in(beamline)


def test_heating_and_spectra_run_to_the_end_and_are_in_the_catalog(client, server, beamline):
    """One after the other: hot, then a spectrum, then points on the way down."""
    spectrum = {"energies": [640, 641, 642], "dwell": 0.1}
    way_down = {"rate": 1, "every": 15, "detectors": ["rga", "chamber"]}  # 2 s here
    results = run_to_the_end(
        client,
        ("ramp_and_soak", ["heater", 50], {"rate": 20, "soak": 600, "then": "hold"}),
        ("xas", ["xas_station"], spectrum),
        ("measure_during_ramp", ["heater", 50, 40], way_down),
    )
    hot, spectra, ramp = (stored(server, result["run_uids"][0]) for result in results)
    assert hot["soak"].read()["heater_soak_in_band"].values[0] >= 600
    assert len(spectra["primary"].read()["electrometer_tey"]) == 3
    assert len(hot["heater_monitor"].read()["heater"]) > 10
    points = ramp["primary"].read()
    assert (points["ramp_due"].values[:-1] % 15 == 0).all() and len(points["rga_O2"]) >= 3
    assert points["ramp_from"].values[0] > points["ramp_to"].values[-1]
    assert blade_is_in(beamline)


def test_regions_zones_and_an_earlier_scan_are_given_as_data(client, server):
    left = {"name": "left", "center": [-2, 0], "size": [2, 1], "pixels": [4, 2]}
    right = {**left, "name": "right", "center": [2, 0]}
    regions = {
        "regions": [left, right],
        "zones": [[640, 641, 1], {"start": 642, "stop": 643, "step": 1}],
    }
    run_to_the_end(client, ("energy_stack", ["stxm"], regions))
    run = newest(server)
    assert run["left"].read()["energy"].shape == run["right"].read()["energy"].shape == (8,)
    scan = run.start["scan"]
    run_to_the_end(client, ("execute", ["stxm", scan], {}))
    assert newest(server).start["scan"] == scan


def test_references_are_given_by_name_and_file(client, server, tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("energy,a,b\n630,0,1\n650,1,1\n660,1,0\n")
    given = {"file": str(table), "unit": "OD"}
    four = {**SMALL, "energies": [640, 642, 645, 655]}
    run_to_the_end(
        client,
        ("energy_stack", ["stxm"], {**four, "references": "Mn L3"}),
        ("energy_stack", ["stxm"], {**four, "references": given}),
    )
    assert newest(server).start["references"]["names"] == ["a", "b"]


def test_a_rixs_map_runs_to_the_end_and_is_in_the_catalog(client, server):
    points = {"energies": [528.0, 530.0], "windows": ["PFY[505:535]"], "passes": 2, "dwell": 1}
    results = run_to_the_end(
        client,
        ("tes_calibrate", ["tes", "mono"], {"time": 60}),
        ("rixs_map", ["tes", "mono"], points),
        ("count_with_beam", [["tes"]], {"num": 2}),
    )
    [uid] = results[1]["run_uids"]
    run = stored(server, uid)
    assert run.start["plan_name"] == "rixs_map"
    assert run["primary"].read()["energy"].shape[0] == 4


def called(client, name, *args):
    """What a function of the worker gave, or its manager said."""
    item = {"item_type": "function", "name": name, "args": list(args)}
    answer = client.ask("function_execute", item=item, user="a", user_group="primary")
    if not answer["success"]:
        return answer

    def over():
        return client.well("task_result", task_uid=answer["task_uid"])["status"] == "completed"

    wait_until(over, f"{name} is over")
    return client.well("task_result", task_uid=answer["task_uid"])["result"]


def test_a_focus_is_measured_proposed_applied_and_taken_back(client):
    line = {
        "energies": 640,
        "center": [0, 0.3],
        "length": 4,
        "pixels": 60,
        "steps": 9,
        "travel": 60,
    }
    [result] = run_to_the_end(client, ("focus_scan", ["stxm"], line))
    found = called(client, "calibrate_focus", *result["run_uids"])
    assert found["success"], found
    proposal = found["return_value"]
    assert abs(proposal["values"]["a0"] - 400) < 5 * proposal["sigma"]["a0"] < 10
    assert called(client, "list_calibrations")["return_value"]["in_force"] == []
    done = called(client, "apply_calibration", proposal["proposal"])
    assert done["return_value"]["state"] == "applied", done
    told = called(client, "list_calibrations")["return_value"]["in_force"]
    assert [one["runs"] for one in told] == [result["run_uids"]]
    gone = called(client, "revert_calibration", "zone plate")
    assert gone["return_value"]["state"] == "reverted", gone
    again = called(client, "revert_calibration", "zone plate")
    assert not again["success"] and "no calibration 'zone plate' is applied" in again["msg"]
    refused = called(client, "open_session")
    assert not refused["success"] and "not allowed" in refused["msg"]


def test_plans_of_bluesky_move_and_count_with_beam(client, server, beamline):
    run_to_the_end(
        client,
        ("mv", ["energy", 641.0], {}),
        ("scan_with_beam", [["transmission"], "energy", 640.0, 641.0], {"num": 2}),
        ("list_scan_with_beam", [["transmission"], "energy", [640.0, 641.0]], {}),
        ("count_with_beam", [["transmission", "ring"]], {"num": 2}),
    )
    counts = newest(server)["primary"].read()["transmission"]
    assert counts.shape[0] == 2 and float(counts.min()) > 0
    assert blade_is_in(beamline)


def started(client, beamline, **more):
    """A stack that has taken lines."""
    answer = client.add("energy_stack", "stxm", **{**LONG, **more})
    assert answer["success"], answer
    client.well("queue_start")
    wait_until(lambda: beamline.blade.get() == 1, "the shutter is open")


@pytest.mark.parametrize("option", ["deferred", "immediate"])
def test_paused_and_resumed(client, server, beamline, option):
    more = {"edge": None, "energies": [640, 641], "pixels": [40, 30]}
    started(client, beamline, **more)
    client.well("re_pause", option=option)
    client.wait("paused")
    assert client.status()["re_state"] == "paused"
    wait_until(lambda: beamline.blade.get() == 0, "no beam while it is paused")
    client.well("re_resume")
    client.wait("idle")
    [item] = client.history()
    assert item["result"]["exit_status"] == "completed", item["result"]
    run = newest(server)
    assert run.metadata["stop"]["exit_status"] == "success"
    assert run["primary"].read()["energy"].shape[0] == 60
    assert blade_is_in(beamline)


@pytest.mark.parametrize(("option", "end"), [("immediate", "abort"), ("deferred", "stop")])
def test_paused_and_ended(client, server, beamline, option, end):
    started(client, beamline)
    client.well("re_pause", option=option)
    client.wait("paused")
    client.well(f"re_{end}")
    client.wait("idle")
    assert blade_is_in(beamline)
    [item] = client.history()
    assert item["result"]["exit_status"] == {"abort": "aborted", "stop": "stopped"}[end]
    stop = newest(server).metadata["stop"]
    assert stop["exit_status"] == {"abort": "abort", "stop": "success"}[end]


def test_a_worker_that_is_killed_leaves_no_beam(client, server, beamline):
    started(client, beamline)
    os.kill(server.worker, signal.SIGKILL)
    wait_until(lambda: beamline.blade.get() == 0, "the dead man closes the shutter")
    client.well("environment_destroy")
    client.wait("idle")
    client.well("environment_open")
    client.wait("idle")
    run_to_the_end(client, ("energy_stack", ["stxm"], SMALL))


def test_a_worker_that_is_told_to_end_makes_safe(client, server, beamline):
    started(client, beamline)
    os.kill(server.worker, signal.SIGTERM)
    wait_until(lambda: beamline.blade.get() == 0, "the shutter is closed")
    wait_until(lambda: not (server.data / "queue" / "worker.pid").exists(), "the session is closed")
    stop = stop_in_log(server)
    assert stop["exit_status"] == "abort" and "SIGTERM" in stop["reason"]
    client.well("environment_destroy")


def test_ctrl_c_at_the_command_ends_all_of_it(client, server, beamline):
    started(client, beamline)
    family = psutil.Process(server.pid).children(recursive=True)
    names = [" ".join(process.cmdline()) for process in family]
    assert any("redis-server" in name for name in names)
    assert server.worker in [process.pid for process in family]
    assert server.end(signal.SIGINT) == 0, server.printed
    assert blade_is_in(beamline)
    _, left = psutil.wait_procs(family, timeout=PATIENCE)
    assert left == []
    assert stop_in_log(server)["exit_status"] == "abort"


def test_a_beamline_that_does_not_answer_ends_the_command_and_says_why(beamline, tmp_path):
    file = tmp_path / "beamline.yml"
    text = beamline.file.read_text("utf-8")
    file.write_text(text.replace(beamline.prefix, "NOBODY:", 1), "utf-8")
    control = f"tcp://127.0.0.1:{free_port()}"
    server = Server(tmp_path / "data", f"--beamline={file}", control=control)
    wait_until(lambda: not server.alive, "it ends")
    assert server.end() == 2
    assert "NOBODY:" in server.printed
    assert "error: the environment did not open; the reason is printed above" in server.printed


def test_a_redis_of_somebody_else_stays(tmp_path):
    """A manager without an environment, on a Redis that is running."""
    (tmp_path / "redis").mkdir()
    addresses = [f"tcp://127.0.0.1:{free_port()}" for _ in range(2)]
    options = {"control": addresses[0], "info": addresses[1]}
    with Redis(tmp_path / "redis") as redis, (tmp_path / "out.txt").open("w") as output:
        with QueueServer(
            {}, tmp_path / "queue", redis=redis.address, output=output, **options
        ) as server:
            assert server.redis == redis.address and server.redis_pid is None
            assert server.ask("status")["worker_environment_exists"] is False
            family = psutil.Process(server.pid).children(recursive=True)
            assert server.ask("manager_stop")["success"]  # as qserver does
            wait_until(lambda: not server.alive, "the manager is stopped")
            assert server.exit_status == 0
        _, left = psutil.wait_procs(family, timeout=PATIENCE)
        assert left == [] and psutil.pid_exists(redis.pid)
