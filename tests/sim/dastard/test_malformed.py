"""Whatever comes over its sockets, the simulated Dastard answers with an error and lives."""

from __future__ import annotations

import json
import os
import random
import socket

import pytest
import zmq

from redoxscope.sim import SimulatedDastard, free_port

from .client import PATIENCE, PULSES, Client, RpcError

PIXELS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    with SimulatedDastard(
        speed=20.0,
        data=tmp_path_factory.mktemp("runs"),
        options={"scan-server": port, "pixels": PIXELS},
    ) as running:
        running.scan_port = port
        yield running
        assert running.alive, running.output


def ask(port, data):
    """What a server answers to bytes, until it has answered once or hung up."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(data)
        text = b""
        while more := sock.recv(1 << 16):
            text += more
            try:
                return json.loads(text)
            except json.JSONDecodeError:
                continue
        raise AssertionError(f"no whole answer to {data[:60]!r}: {text!r}")


def lives(server):
    with Client(server.base) as client:
        assert client.call("Multiply", {"A": 6, "B": 7}) == 42
        assert client.more("ALIVE", 1)  # it goes on by itself, too


DEEP = b"[" * 100_000
REQUESTS = {
    "method-number": b'{"id":1,"method":5}',
    "method-list": b'{"id":1,"method":["SourceControl.Start"],"params":[1]}',
    "method-object": b'{"id":1,"method":{"a":1},"params":[1]}',
    "no-method": b'{"id":1}',
    "null-method": b'{"id":1,"method":null,"params":[1]}',
    "empty": b"{}",
    "list": b"[]",
    "number": b"5 ",
    "text": b'"Start"',
    "null": b"null",
    "params-text": b'{"id":1,"method":"SourceControl.Start","params":"x"}',
    "params-two": b'{"id":1,"method":"SourceControl.Start","params":[1,2]}',
    "no-such": b'{"id":1,"method":"SourceControl.__init__","params":[1]}',
    "no-service": b'{"id":1,"method":".","params":[1]}',
    "deep": DEEP,
    "deep-objects": b'{"a":' * 50_000,
    "deep-param": b'{"id":1,"method":"SourceControl.Start","params":[' + DEEP,
    "long-number": b'{"id":' + b"9" * 10_000 + b"}",
    "nan": b'{"id":1,"method":"SourceControl.Multiply","params":[NaN]}',
    "no-utf8": b'{"id":"\xff\xfe"}',
    "surrogate": b'{"id":1,"method":"SourceControl.WriteComment","params":["\\ud800"]}',
    "zero-path": b'{"id":1,"method":"MapServer.Load","params":["a\\u0000b"]}',
    "device": b'{"id":1,"method":"MapServer.Load","params":["/dev/zero"]}',
    "binary": b'{"id":1,"method":"MapServer.Load","params":["/bin/sh"]}',
    "garbage": b"\x00\x01\x02}{",
    "http": b"POST / HTTP/1.1\r\n\r\n{}",
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_that_makes_no_sense_gets_an_error(server, what):
    reply = ask(server.base, REQUESTS[what])
    assert reply["error"] and reply["result"] is None
    assert set(reply) == {"id", "result", "error"}
    lives(server)


METHODS = (
    "Start", "Stop", "ConfigureTriggers", "ConfigurePulseLengths", "ConfigureProjectorsBasis",
    "ConfigureMixFraction", "CoupleErrToFB", "CoupleFBToErr", "StopTriggerCoupling",
    "WriteControl", "WriteComment", "ReadComment", "SendAllStatus", "Multiply",
    "ConfigureLanceroSource", "ConfigureSimPulseSource",
)  # fmt: skip
VALUES = (
    None, True, 0, -1, 1.5, 1 << 70, 1e308, "", "../../etc", "\ud800", "\0", "x" * 5000, [], [[]],
    {}, {"a": []}, [None], [1 << 40, -5], {"ChannelIndices": [0, 1 << 40]}, {"Nsamp": 1 << 45},
    {"Nsamp": 1 << 40, "Npre": 5}, {"Nsamp": -1}, {"Request": "Start", "Path": "../../x"},
    {"Request": "START\0"}, {"Request": "UNPAUSE x\ny"}, {"Request": "Start", "Path": "/proc/no"},
    {"ChannelIndex": 1 << 60, "ProjectorsBase64": "AAAA"}, {"ProjectorsBase64": "not base64"},
    {"ChannelIndices": "all"}, {"A": 1 << 62, "B": 1 << 62}, {"MixFractions": [1e300]},
)  # fmt: skip


def test_arguments_of_every_kind_for_every_call(server):
    """With a source that runs and photons that come; 2 × 500 calls, always the same."""
    server.beam(open=True, energy=640.0)
    choose = random.Random(7)
    with Client(server.base) as client:
        for method in ("Start", *METHODS * 2):
            for value in ["RESONATORSOURCE", *choose.sample(VALUES, len(VALUES))]:
                try:
                    client.call(method, value)
                except RpcError as error:
                    assert str(error)
        try:
            client.call("Stop", "")
        except RpcError as error:
            assert "no source" in str(error)
        client.call("Start", "RESONATORSOURCE")
        client.call("ConfigureTriggers", {"ChannelIndices": list(range(PIXELS)), **PULSES})
        client.until(lambda: client.photons() is not None)
    lives(server)


@pytest.mark.parametrize("path", ["../outside", "/tmp/../etc/x", "a\0b", "/tmp/\n"])
def test_a_path_that_climbs_out_is_refused(server, path, tmp_path):
    with Client(server.base) as client:
        try:
            client.start(PIXELS)
        except RpcError as error:
            assert "already" in str(error)
        with pytest.raises(RpcError, match="could not make directory"):
            client.call("WriteControl", {"Request": "Start", "Path": path, "WriteOFF": True})
    lives(server)


CONTROL = (
    b"", b"{", b"[]", b"5", b"null", b'"fault"', DEEP, b"\xff", b"9" * 10_000,
    b'{"energy":1e999}', b'{"energy":"x"}', b'{"energy":[1]}', b'{"flux":-1}', b'{"flux":1e30}',
    b'{"energy":1' + b"0" * 400 + b"}", b'{"sample":"../x"}', b'{"sample":["a"]}',
    b'{"sample":{}}', b'{"time":"x"}', b'{"time":NaN,"energy":641}', b'{"time":1e300,"open":true}',
    b'{"time":4e9,"open":true}', b'{"time":[]}', b'{"fault":5}', b'{"fault":"no such"}',
    b'{"fault":"rate 1e8"}', b'{"fault":"drop nan"}', b'{"fault":"late 2 1"}', b'{"fault":[]}',
    b'{"trigger":{}}',
)  # fmt: skip


def test_nonsense_on_the_control_socket_is_told_and_ignored(server):
    push = zmq.Context.instance().socket(zmq.PUSH)
    push.linger = 1000
    push.connect(f"tcp://127.0.0.1:{server.control_port}")
    with Client(server.base) as client:
        for message in CONTROL:
            push.send(message)
            push.send_multipart([message, message])
        try:
            client.start(PIXELS)
        except RpcError as error:
            assert "already" in str(error)
        before = 0 if client.photons() is None else len(client.photons())
        server.beam(open=True, energy=700.0, flux=1.0, sample="lmr_charged")
        client.until(lambda: client.photons() is not None and len(client.photons()) > before + 5)
    push.close()
    assert "control message" in server.output
    lives(server)


SCANS = {
    "deep": DEEP,
    "text": b'"method"',
    "list": b"[1]",
    "number": b"17 ",
    "garbage": b"hello",
    "no-method": b"{}",
    "method-list": b'{"method":["state"]}',
    "params": b'{"method":"file_start","params":5}',
    "kwargs": b'{"method":"file_start","kwargs":{"no":1}}',
    "path": b'{"method":"file_start","params":["../../x"]}',
    "long-number": b'{"method":' + b"9" * 10_000 + b"}",
    "roi": b'{"method":"roi_set","params":[{"a":[1' + b"0" * 400 + b",2]}]}",
    "roi-text": b'{"method":"roi_set","params":["abc"]}',
    "private": b'{"method":"_call","params":["Stop",""]}',
}


@pytest.mark.parametrize("what", SCANS)
def test_the_scan_server_answers_nonsense_with_a_refusal(server, what):
    reply = ask(server.scan_port, SCANS[what])
    assert reply["success"] is False and reply["response"].startswith("Exception: ")
    assert ask(server.scan_port, b'{"method":"state"}') == {"response": "no_file", "success": True}


def test_a_client_of_the_scan_server_that_goes_at_once_harms_nobody(server):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.scan_port), timeout=PATIENCE) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
            sock.sendall(b'{"method":"state"}' * 2000)
    assert ask(server.scan_port, b'{"method":"state"}')["success"]
    lives(server)


def test_a_sample_that_is_a_path_writes_nowhere(server, tmp_path):
    """A scan of a sample with a name like a path: its files are where those of others are."""
    with Client(server.base) as client:
        try:
            client.start(PIXELS)
        except RpcError as error:
            assert "already" in str(error)
    for method, *params in (
        ("file_start", str(tmp_path / "runs")),
        ("scan_start", "mono", "eV", "../../../escaped", "../../../escaped"),
        ("scan_point_start", "../../x"),
        ("scan_point_end",),
        ("scan_end",),
        ("file_end",),
    ):
        reply = ask(server.scan_port, json.dumps({"method": method, "params": params}).encode())
        assert reply["success"], reply
    assert {entry.name for entry in os.scandir(tmp_path)} == {"runs"}
    lives(server)
