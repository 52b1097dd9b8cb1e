"""What the simulated Dastard writes, against what it sends."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from redoxscope.formats import (
    FILTERED,
    IncompleteHeader,
    read_data_drops,
    read_experiment_state,
    read_external_triggers,
    read_ljh,
    read_off,
)
from redoxscope.sim import SimulatedDastard

from .client import Client, RpcError

SPEED = 20.0
PIXELS = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with SimulatedDastard(speed=SPEED, data=folder, options={"pixels": PIXELS}) as running:
        yield running


@pytest.fixture
def client(server):
    """A client of the server, with the source running in the dark."""
    server.fault("clear")
    server.fault("rate 10")
    server.beam(open=False)
    with Client(server.base) as before:
        before.call("SendAllStatus", "")
        before.sync()
        if before.seen["STATUS"][-1]["Running"]:
            before.call("Stop", "")
    with Client(server.base) as client:
        client.start(PIXELS)
        yield client


def begin(client, **options):
    """Start a run; the content of WRITING."""
    client.call("WriteControl", {"Request": "Start", **options})
    client.sync()
    return client.seen["WRITING"][-1]


def end(client):
    client.call("WriteControl", {"Request": "Stop"})
    client.sync()
    assert not client.seen["WRITING"][-1]["Active"]


def test_files_hold_what_the_stream_has(server, client):
    server.beam(open=True)
    client.until(lambda: client.frames)  # the subscription is there
    state = begin(client, WriteOFF=True)
    client.call("SetExperimentStateLabel", {"Label": "SCAN0", "WaitForError": True})
    client.until(lambda: len(client.frames) > 3000)
    end(client)
    client.call("Stop", "")
    client.sync()

    pattern = state["FilenamePattern"]
    day, run = time.strftime("%Y%m%d"), Path(pattern).parent.name
    assert pattern.endswith(f"{day}/{run}/{day}_run{run}_%s.%s")
    labels = read_experiment_state(state["ExperimentStateFilename"])
    assert list(labels.labels) == ["START", "SCAN0", "STOP"]
    assert labels.times[0] == state["ExperimentStateLabelUnixNano"]

    photons = client.photons()
    written, first_ns, last_ns = 0, np.inf, 0
    for index in np.unique(photons["chan_index"]):
        off = read_off(pattern % (f"chan{index + 1}", "off"))
        assert off.problem is None and off.channel == index + 1
        assert off.header["ReadoutInfo"]["SubframeDivisions"] == 64
        assert off.projectors.shape == (5, 1024)
        sent = photons[photons["chan_index"] == index]
        first = np.searchsorted(sent["t_ns"], off.records["t_ns"][0])
        same = sent[first : first + len(off.records)]
        assert np.array_equal(same["t_ns"], off.records["t_ns"])
        assert np.array_equal(same["frame"], off.records["frame"])
        assert np.array_equal(same["coefs"].astype("f4"), off.records["coefs"])
        written += len(off.records)
        first_ns = min(first_ns, off.records["t_ns"][0])
        last_ns = max(last_ns, off.records["t_ns"][-1])
    assert written > 1000
    # Blocks that were under way at either end, on a busy machine long ones, may be in the files or
    # not; between them nothing is missing.
    assert written == ((photons["t_ns"] >= first_ns) & (photons["t_ns"] <= last_ns)).sum()


def test_numbers_written_agree_with_the_files(server, client):
    server.beam(open=True)
    state = begin(client, WriteOFF=True)
    client.more("NUMBERWRITTEN", 2)
    server.beam(open=False)
    client.until(lambda: sum(client.more("TRIGGERRATE")[0]["CountsSeen"]) == 0)
    numbers = client.more("NUMBERWRITTEN", 2)[-1]["NumberWritten"]
    folder = Path(state["FilenamePattern"]).parent
    files = {int(path.stem.rpartition("chan")[2]) for path in folder.glob("*.off")}
    assert files == {i + 1 for i, number in enumerate(numbers) if number}  # none without photons
    end(client)
    for channel in files:
        off = read_off(state["FilenamePattern"] % (f"chan{channel}", "off"))
        assert len(off.records) == numbers[channel - 1]


def test_files_grow_while_they_are_written(server, client):
    server.beam(open=True)
    state = begin(client, WriteOFF=True)
    folder = Path(state["FilenamePattern"]).parent

    def records(path):
        try:
            return len(read_off(path).records)
        except IncompleteHeader:  # the rest of it waits in the server's buffer
            return 0

    client.until(lambda: any(records(path) > 10 for path in folder.glob("*.off")))
    end(client)


def test_paused_is_not_written(server, client):
    client.more("TRIGGERRATE")
    # What came before it was dark is over; a busy machine is behind its clock.
    client.until(lambda: not sum(client.seen["TRIGGERRATE"][-1]["CountsSeen"]))
    state = begin(client, WriteOFF=True)
    client.call("WriteControl", {"Request": "Pause"})
    client.sync()
    assert client.seen["WRITING"][-1]["Paused"]
    server.beam(open=True)
    client.until(lambda: sum(client.more("TRIGGERRATE")[-1]["CountsSeen"]) > 0)
    folder = Path(state["FilenamePattern"]).parent
    assert not list(folder.glob("*.off"))
    client.call("WriteControl", {"Request": "Unpause ON"})
    client.more("NUMBERWRITTEN")
    state = client.seen["WRITING"][-1]
    assert state["ExperimentStateLabel"] == "ON" and not state["Paused"]
    client.until(lambda: list(folder.glob("*.off")))
    end(client)


def test_what_cannot_be_while_writing(client):
    begin(client, WriteOFF=True)
    with pytest.raises(RpcError, match="writing already in progress"):
        client.call("WriteControl", {"Request": "Start", "WriteOFF": True})
    with pytest.raises(RpcError, match="stop writing before changing record lengths"):
        client.call("ConfigurePulseLengths", {"Nsamp": 500, "Npre": 100})
    end(client)


def test_comment(client, tmp_path):
    state = begin(client, WriteOFF=True, Path=str(tmp_path))
    assert state["BasePath"] == str(tmp_path)
    client.call("WriteComment", "a good run")
    assert client.call("ReadComment", 0) == "a good run\n"
    end(client)


def test_records_project_to_their_coefficients(server, client):
    """LJH files hold the pulses themselves."""
    server.fault("rate 1")
    server.beam(open=True)
    state = begin(client, WriteLJH22=True, WriteOFF=True)
    client.until(lambda: len(client.frames) > 100)
    end(client)
    files = sorted(Path(state["FilenamePattern"]).parent.glob("*.ljh"))
    assert files
    ljh = read_ljh(files[0])
    off = read_off(files[0].with_suffix(".off"))
    assert ljh.problem is None and ljh.channel == off.channel
    assert np.array_equal(ljh.frames, off.records["frame"])
    coefs = ljh.records["pulse"].astype(float) @ off.projectors.T
    filtered = off.records["coefs"][:, FILTERED]
    assert np.allclose(coefs[:, FILTERED], filtered, atol=3.0)  # samples are whole numbers


def test_external_triggers_and_lost_data(server, client):
    state = begin(client, WriteOFF=True)
    assert not Path(state["ExternalTriggerFilename"]).exists()
    for _ in range(3):
        server.external_trigger()
    seen = client.until(
        lambda: sum(s["NumberObservedInLastSecond"] for s in client.seen["EXTERNALTRIGGER"])
    )
    server.fault("data_drop")
    client.until(lambda: client.seen["DATADROP"])
    end(client)
    triggers = read_external_triggers(state["ExternalTriggerFilename"])
    assert triggers.problem is None and triggers.divisions == 64
    assert 0 < seen <= len(triggers.counts) == 3
    assert np.all(np.diff(triggers.counts) >= 0)
    drops = read_data_drops(state["DataDropFilename"])
    assert drops.problem is None
    assert list(drops.frames) == [pytest.approx(50e-3 / 4.8e-6, abs=1)]


def test_a_full_disk(server, client):
    """Errors where somebody asked, silence in the files, and all well afterwards."""
    server.beam(open=True)
    begin(client, WriteOFF=True)
    client.more("NUMBERWRITTEN")
    server.fault("disk_full")
    client.more("NUMBERWRITTEN")
    numbers = client.more("NUMBERWRITTEN", 2)
    assert numbers[0] == numbers[1]  # while photons still come
    assert sum(client.more("TRIGGERRATE")[0]["CountsSeen"]) > 0
    with pytest.raises(RpcError, match=r"write .*experiment_state.txt: no space left on device"):
        client.call("SetExperimentStateLabel", {"Label": "B", "WaitForError": True})
    with pytest.raises(RpcError, match="no space left on device"):
        client.call("WriteControl", {"Request": "Stop"})
    with pytest.raises(RpcError, match=r"could not make directory: mkdir .*no space left"):
        client.call("WriteControl", {"Request": "Start", "WriteOFF": True})
    server.fault("clear")
    client.more("ALIVE")
    begin(client, WriteOFF=True)
    assert sum(client.more("NUMBERWRITTEN", 2)[-1]["NumberWritten"]) > 0
    end(client)


def test_a_folder_that_cannot_be_made(client, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RpcError, match="could not make directory: mkdir .*: not a directory"):
        client.call(
            "WriteControl", {"Request": "Start", "WriteOFF": True, "Path": str(tmp_path / "file")}
        )
