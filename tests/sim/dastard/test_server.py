"""The simulated Dastard as a process: calls, status messages, photons, faults."""

from __future__ import annotations

import json

import numpy as np
import pytest

from redoxscope.formats import RECORD_HEADER, encode_matrix
from redoxscope.sim import SimulatedDastard, SimulationError

from .client import Client, RpcError, when

SPEED = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with SimulatedDastard(speed=SPEED, data=tmp_path_factory.mktemp("runs")) as running:
        yield running


@pytest.fixture
def client(server):
    """A client of the server, whose source is not running and whose faults are over."""
    server.fault("clear")
    server.beam(energy=640.0, flux=1.0, open=False, sample="lmr_charged")
    with Client(server.base) as before:
        before.call("SendAllStatus", "")
        before.sync()
        if before.seen["STATUS"][-1]["Running"]:
            before.call("Stop", "")
    with Client(server.base) as client:  # gets nothing of what was sent before
        yield client


def fails(client, method, arg, text, service="SourceControl"):
    with pytest.raises(RpcError) as error:
        client.call(method, arg, service)
    assert text in str(error.value)


def test_errors_read_as_those_of_go(client):
    fails(client, "Stop", "", "no source is active")
    fails(client, "ConfigureTriggers", {"ChannelIndices": [0]}, "no source is active")
    fails(client, "Start", "ABACOSOURCE", 'Data Source "ABACOSOURCE" is not recognized')
    fails(client, "Start", "LANCEROSOURCE", "0 channels")
    fails(client, "Start", 5, "json: cannot unmarshal number into Go value of type string")
    fails(client, "Nothing", 0, "rpc: can't find method SourceControl.Nothing")
    fails(client, "Load", 0, "rpc: can't find service Other.Load", service="Other")
    assert client.call("Start", "resonatorsource") is True
    fails(client, "Start", "RESONATORSOURCE", "already have active source, do not start")
    fails(client, "ConfigureTriggers", {}, "no valid ChannelIndices")
    fails(client, "ConfigureTriggers", {"ChannelIndices": [240]}, "240 is >= ds.nchan 240")
    fails(
        client, "ConfigureTriggers", {"ChannelIndices": [0], "LevelLevel": -5},
        "cannot unmarshal number -5 into Go struct field FullTriggerState.LevelLevel of type uint",
    )  # fmt: skip
    fails(client, "ConfigurePulseLengths", {"Nsamp": 2, "Npre": 3}, "nsamp 2, npre 3 are invalid")
    fails(client, "ConfigureMixFraction", {}, "does not support Mix")
    fails(client, "CoupleErrToFB", True, "do not support FB/error coupling")
    fails(client, "WriteControl", {"Request": "now"}, 'config.Request="now"')
    fails(client, "WriteControl", {"Request": "start"}, "WriteOFF and WriteLJH3 all false")
    fails(client, "SetExperimentStateLabel", {"WaitForError": True}, "was an empty string")
    fails(
        client, "SetExperimentStateLabel", {"Label": "A", "WaitForError": True},
        "cannot set experiment state label when writing is not active",
    )  # fmt: skip
    fails(client, "WriteComment", "", "can't write zero-length comment")
    fails(client, "ReadComment", 0, "cannot read comment when not actively writing")
    fails(client, "Load", "/nowhere", "open /nowhere: no such file", service="MapServer")
    assert client.call("Multiply", {"a": 6, "B": 7, "C": 1}) == 42


def test_a_request_may_come_in_pieces_and_two_at_once(client):
    text = json.dumps({"id": "x", "method": "SourceControl.Multiply", "params": [{"A": 2, "B": 3}]})
    for piece in (text[:20], text[20:] + text + text[:5]):
        client.socket.sendall(piece.encode())
    assert [client.reply()["result"] for _ in range(2)] == [6, 6]
    client.socket.sendall(text[5:].encode())
    assert client.reply() == {"id": "x", "result": 6, "error": None}


def test_what_is_no_json_ends_the_connection(client):
    client.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert client.reply()["error"].startswith("json: Expecting value")
    with pytest.raises(ConnectionError):
        client.reply()


def test_status_after_start(client):
    client.start()
    client.sync()
    status = client.seen["STATUS"][-1]
    assert status["Running"] and status["SourceName"] == "Resonator"
    assert (status["Nchannels"], status["Nsamples"], status["SamplePeriod"]) == (240, 1024, 4800)
    assert status["ChannelsWithProjectors"] == list(range(240))
    assert client.seen["CHANNELNAMES"][-1][:2] == ["chan1", "chan2"]
    (triggers,) = client.seen["TRIGGER"][-1]
    assert triggers["EdgeMulti"] and triggers["ChannelIndices"] == list(range(240))
    assert client.more("ALIVE")[0]["Running"]


def test_triggers_come_back_after_a_start_without_the_multiple_edges(client):
    client.start()
    client.call("ConfigureTriggers", {"ChannelIndices": [7], "LevelTrigger": True})
    client.call("Stop", "")
    client.call("Start", "RESONATORSOURCE")
    client.sync()
    states = client.seen["TRIGGER"][-1]
    assert not any(state["EdgeMulti"] for state in states)
    assert [s["ChannelIndices"] for s in states if s["LevelTrigger"]] == [[7]]


def test_every_photon_that_is_counted_is_sent(server, client):
    """Whole seconds of the server's clock: counts of the message and of the stream agree."""
    client.start()
    server.beam(open=True)
    client.until(lambda: client.frames)  # the subscription is there
    rates = client.more("TRIGGERRATE", 4)[1:]
    client.until(lambda: client.photons()["t_ns"].max() > when(rates[-1]))
    photons = client.photons()
    assert np.all(np.diff(photons["t_ns"]) >= 0)
    for rate in rates:
        end, duration = when(rate), rate["Duration"]
        assert end % 1_000_000_000 == 0 and duration == 1_000_000_000
        inside = (photons["t_ns"] >= end - duration) & (photons["t_ns"] < end)
        counted = np.bincount(photons["chan_index"][inside], minlength=240)
        assert counted.tolist() == rate["CountsSeen"]
        assert counted.sum() > 100
    assert photons.dtype["coefs"].shape == (5,)
    assert set(photons["npre"]) == {259} and set(photons["nsamp"]) == {1024}


def test_only_pixels_that_are_triggered_on_count(server, client):
    client.start(pixels=10)
    server.beam(open=True)
    client.until(lambda: len(client.frames) > 50)
    assert client.photons()["chan_index"].max() < 10


def test_nothing_comes_without_light_or_after_stop(server, client):
    client.start()
    client.more("TRIGGERRATE", 2)  # photons from before may have been on their way
    client.frames.clear()
    assert sum(client.more("TRIGGERRATE", 2)[-1]["CountsSeen"]) == 0
    server.beam(open=True, flux=0.0)
    assert sum(client.more("TRIGGERRATE", 2)[-1]["CountsSeen"]) == 0
    assert not client.frames
    server.beam(flux=1.0)
    client.until(lambda: client.frames)
    client.call("Stop", "")
    assert not client.more("ALIVE", 2)[-1]["Running"]


def test_without_projectors_there_are_no_coefficients(server, client):
    client.start()
    client.call("ConfigurePulseLengths", {"Nsamp": 500, "Npre": 100})  # they do not fit any more
    client.sync()
    assert not client.seen["STATUS"][-1]["ChannelsWithProjectors"]
    fails(
        client, "WriteControl", {"Request": "Start", "WriteOFF": True},
        "no projectors are loaded, OFF files require projectors",
    )  # fmt: skip
    server.beam(open=True)
    client.until(lambda: client.frames)
    assert client.photons().dtype["coefs"].shape == (0,)
    three = {
        "ChannelIndex": 0,
        "ProjectorsBase64": encode_matrix(np.ones((3, 500))),
        "BasisBase64": encode_matrix(np.ones((500, 3))),
    }
    fails(client, "ConfigureProjectorsBasis", three | {"ChannelIndex": 240}, "channelIndex out of")
    fails(
        client, "ConfigureProjectorsBasis", three | {"BasisBase64": "x"}, "cannot decode the matrix"
    )
    fails(
        client, "ConfigureProjectorsBasis",
        three | {"ProjectorsBase64": encode_matrix(np.ones((3, 1024)))}, "should have cols",
    )  # fmt: skip
    client.call("ConfigureProjectorsBasis", three)
    client.frames.clear()
    client.until(lambda: any(len(coefs) == 24 for _, coefs in client.frames))
    sizes = {(head[:2] == b"\0\0", len(coefs)) for head, coefs in client.frames[-200:]}
    assert sizes <= {(True, 24), (False, 0), (True, 0)}
    client.call("ConfigurePulseLengths", {"Nsamp": 1024, "Npre": 259})


@pytest.mark.parametrize(
    ("name", "status", "channels"), [("ABACO", "Abaco", 240), ("LANCERO", "Lancero", 480)]
)
def test_other_hardware(tmp_path, name, status, channels):
    with (
        SimulatedDastard(speed=SPEED, source_name=name, data=tmp_path) as server,
        Client(server.base) as client,
    ):
        client.start(channels, f"{name}SOURCE")
        client.sync()
        assert client.seen["STATUS"][-1]["SourceName"] == status
        assert client.seen["STATUS"][-1]["Nchannels"] == channels
        server.beam(open=True)
        client.until(lambda: len(client.frames) > 100)
        index = client.photons()["chan_index"]
        if name == "LANCERO":  # pulses are in the feedback
            assert client.seen["CHANNELNAMES"][-1][:4] == ["err1", "chan1", "err2", "chan2"]
            assert set(index % 2) == {1}
        else:
            fails(client, "ConfigureResonatorSource", {}, "can't find method")
        assert index.max() > channels / 2


def test_whole_records_where_asked_for(tmp_path):
    options = {"records": True, "pixels": 24, "no-projectors": True, "fault": "rate 20"}
    with (
        SimulatedDastard(speed=SPEED, data=tmp_path, options=options) as server,
        Client(server.base) as client,
    ):
        client.start(24)
        client.sync()
        assert client.seen["STATUS"][-1]["ChannelsWithProjectors"] == []
        server.beam(open=True)
        ratios = []
        while len(ratios) < 25:
            client.until(lambda: client.records.poll(0))
            head, samples = client.records.recv_multipart()
            record = np.frombuffer(head, RECORD_HEADER)[0]
            assert (record["dtype"], record["npre"], record["nsamp"]) == (3, 259, 1024)
            assert record["dt_s"] == pytest.approx(4.8e-6)
            pulse = np.frombuffer(samples, "<u2").astype(float)
            before = pulse[:250]
            ratios.append((pulse.max() - before.mean()) / before.std())
        assert len(pulse) == 1024
        assert np.median(ratios) > 20


# -- faults ---------------------------------------------------------------------------------------


def test_dropped_messages_are_counted_all_the_same(server, client):
    client.start()
    server.beam(open=True)
    client.until(lambda: client.frames)
    server.fault("drop 1")
    for _ in range(20):  # those of before may be on their way
        client.photons()
        before = len(client.frames)
        rates = client.more("TRIGGERRATE", 3)[1:]  # the first may hold the opening of the beam
        client.photons()
        if len(client.frames) == before:
            break
    assert len(client.frames) == before
    assert all(sum(rate["CountsSeen"]) > 100 for rate in rates)


def test_late_messages_come_after_all(server, client):
    client.start()
    server.beam(open=True)
    client.until(lambda: client.frames)
    server.fault("late 0.3 2")
    rates = client.more("TRIGGERRATE", 4)[1:]
    client.until(lambda: client.photons()["t_ns"][-1] > when(rates[-1]) + 40_000_000_000)
    t = client.photons()["t_ns"]
    assert (np.diff(t) < -1_000_000_000).any()  # some overtook others by more than a second
    lo, hi = when(rates[0]) - 1_000_000_000, when(rates[-1])
    assert ((t >= lo) & (t < hi)).sum() == sum(sum(rate["CountsSeen"]) for rate in rates)


def test_writing_is_told_late(server, client):
    client.start()
    server.fault("late_writing 100")
    client.more("ALIVE")  # the fault is there before the call
    client.call("WriteControl", {"Request": "Start", "WriteOFF": True})
    client.sync()
    assert not client.seen["WRITING"]
    assert client.until(lambda: client.seen["WRITING"])[-1]["Active"]


def test_lost_data_are_told_and_leave_a_gap(server, client):
    client.start()
    server.beam(open=True)
    client.until(lambda: client.frames)
    server.fault("data_drop")
    told = client.until(lambda: client.seen["DATADROP"])  # it may have come already
    assert [content["TotalObserved"] for content in told] == [1]
    client.more("TRIGGERRATE", 2)
    assert np.diff(client.photons()["t_ns"]).max() > 45_000_000


def test_a_hung_server_says_nothing(server, client):
    client.start()
    server.beam(open=True)
    client.until(lambda: client.frames)
    server.fault("quiet")
    client.socket.settimeout(2.0)  # a busy server takes its time
    with pytest.raises(TimeoutError):
        while True:  # a call may have been on its way
            client.call("Multiply", {"A": 1, "B": 1})
    client.photons()
    before = len(client.frames), sum(map(len, client.seen.values()))
    assert not client.status.poll(300)
    client.photons()
    assert (len(client.frames), sum(map(len, client.seen.values()))) == before


def test_an_unheard_label_error_takes_the_whole_server_down(tmp_path):
    with SimulatedDastard(data=tmp_path) as server:
        with Client(server.base) as client:
            client.start()
            with pytest.raises(ConnectionError):
                client.call("SetExperimentStateLabel", {"Label": "A"})
        assert server.wait() == 2
        assert "panic: error with WaitForError==false" in server.output
        server.restart()
        with Client(server.base) as client:
            client.start()
            server.beam(open=True)
            client.until(lambda: client.frames)


def test_killed_and_started_again(tmp_path):
    with SimulatedDastard(speed=SPEED, data=tmp_path) as server:
        base, control = server.base, server.control_port
        server.beam(open=True)
        with Client(base) as client:
            client.start()
            client.until(lambda: client.frames)
            last = client.photons()["t_ns"].max()
        server.kill()
        assert not server.alive
        server.restart()
        assert (server.base, server.control_port) == (base, control)
        with Client(base) as client:
            client.call("SendAllStatus", "")
            client.sync()
            assert not client.seen["STATUS"][-1]["Running"]
            client.start()
            client.until(lambda: client.frames)  # the beam is still there
            assert client.photons()["t_ns"].min() > last  # and time did not go back


def test_it_can_be_told_to_die(tmp_path):
    with SimulatedDastard(data=tmp_path) as server:
        server.fault("exit")
        assert server.wait() == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sample": "wood"}, "unknown sample 'wood'; known: lmr_pristine"),
        ({"speed": 0}, "speed = 0.0 must be a number greater than 0"),
        ({"options": {"fault": "rain"}}, "unknown fault 'rain'; known: drop"),
    ],
)
def test_bad_options_are_named(options, text):
    with pytest.raises(SimulationError, match="the simulated Dastard did not start") as error:
        SimulatedDastard(**options)
    assert text in str(error.value)


def test_a_taken_port_is_named(server):
    with pytest.raises(SimulationError, match=f"ports {server.base} to {server.base + 4}"):
        SimulatedDastard(options={"port-base": server.base})
