"""Whatever a server says, the client's threads live on and the error is seen."""

from __future__ import annotations

import logging
import re
import socket
import threading

import numpy as np
import pytest
import zmq

from redoxscope.devices.tes import DastardError
from redoxscope.devices.tes._acquisition import Acquisition, Setup
from redoxscope.devices.tes._clock import parse_rfc3339
from redoxscope.devices.tes._receiver import Receiver
from redoxscope.devices.tes._rpc import JsonConnection, JsonRpc
from redoxscope.devices.tes._server_watch import ServerWatch
from redoxscope.devices.tes._status import StatusFeed
from redoxscope.devices.tes._stream import PhotonStream
from redoxscope.documents import Bins
from redoxscope.formats import encode_summaries, summary_dtype

WAIT = 20.0
DEEP = b"[" * 100_000


class Answers:
    """A server that gives to each request on a connection the next of its answers."""

    def __init__(self, answers):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answers = iter(answers)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                while connection.recv(1 << 16):
                    answer = next(self._answers)
                    connection.sendall(answer)
                    if not answer.startswith(b'{"id"'):
                        break

    def close(self):
        self._listener.close()


ANSWERS = {
    "deep": b'{"a":' + DEEP + b"}",
    "text": b'"}"',
    "no-json": b"HTTP/1.1 400 Bad Request }",
    "binary": b"\xff\xfe}",
    "list": b"[{}]",
    "number": b"5}",
    "long-number": b'{"id":' + b"9" * 10_000 + b"}",
    "half": b'{"res',
    "nothing": b" ",
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_makes_no_sense_is_an_error_and_the_next_is_heard(what):
    server = Answers([ANSWERS[what], b'{"id":2,"result":7,"error":null}'])
    rpc = JsonRpc("127.0.0.1", server.port, timeout=WAIT)
    with pytest.raises(DastardError, match=rf"Dastard 127.0.0.1:{server.port}.*Multiply"):
        rpc.call("Multiply", {"A": 1})
    assert rpc.call("Multiply", {"A": 1}) == 7
    rpc.close()
    server.close()


@pytest.mark.parametrize("error", ["5", '["a"]', '{"a":1}', "true"])
def test_an_error_may_be_of_any_kind(error):
    server = Answers([b'{"id":1,"result":null,"error":' + error.encode() + b"}"])
    rpc = JsonRpc("127.0.0.1", server.port, timeout=WAIT)
    with pytest.raises(DastardError, match="refused"):
        rpc.call("Start", "x")
    rpc.close()
    server.close()


def test_an_answer_to_somebody_else_is_not_ours():
    server = Answers([b'{"id":[1],"result":1,"error":null}{"id":1,"result":7,"error":null}'])
    rpc = JsonConnection("server", "127.0.0.1", server.port, timeout=WAIT)
    assert rpc.ask({"id": 1}, "asking")["result"] == 7
    rpc.close()
    server.close()


# -- status ---------------------------------------------------------------------------------


@pytest.fixture
def published():
    """A PUB socket, its port and a context for its client."""
    context = zmq.Context()
    sock = context.socket(zmq.PUB)
    sock.linger = 0
    yield sock, sock.bind_to_random_port("tcp://127.0.0.1"), context
    sock.close()
    context.term()


STATUS = {
    "one-frame": [b"STATUS"],
    "empty": [b"", b""],
    "three-frames": [b"STATUS", b"{", b"}"],
    "deep": [b"STATUS", DEEP],
    "no-json": [b"STATUS", b"running"],
    "no-utf8": [b"STATUS", b"\xff"],
    "no-tag": [b"\xff\xff", b"{}"],
    "list": [b"STATUS", b"[]"],
    "null": [b"STATUS", b"null"],
    "no-running": [b"STATUS", b"{}"],
    "running-text": [b"STATUS", b'{"Running":"yes"}'],
    "writing": [b"WRITING", b'"active"'],
    "names": [b"CHANNELNAMES", b"[1,2]"],
    "names-object": [b"CHANNELNAMES", b"{}"],
    "rate": [b"TRIGGERRATE", b'{"HiTime":5}'],
    "drop": [b"DATADROP", b"[]"],
}


@pytest.mark.parametrize("what", STATUS)
def test_a_status_that_makes_no_sense_is_told_and_the_next_is_heard(published, what, caplog):
    sock, port, context = published
    seen = []
    feed = StatusFeed("127.0.0.1", port, context, lambda *message: seen.append(message))
    feed.start()
    feed.wait_linked(WAIT)
    heard(sock, feed)
    seen.clear()
    with caplog.at_level(logging.ERROR):
        sock.send_multipart(STATUS[what])
        sock.send_multipart([b"STATUS", b'{"Running":true}'])
        assert feed.wait_for("STATUS", lambda s: s["Running"], WAIT, what="it runs")
    feed.close()
    assert [(tag, content) for tag, content, _ in seen] == [("STATUS", {"Running": True})]
    assert "makes no sense" in caplog.text


def heard(sock, feed):
    """Until the subscription has arrived there."""
    while True:
        sock.send_multipart([b"HELLO", b"1"])
        try:
            feed.wait_for("HELLO", lambda _: True, 0.05, what="it greets")
        except DastardError:
            continue
        return


def test_who_fails_over_a_message_does_not_end_the_feed(published, caplog):
    sock, port, context = published

    def fail(tag, content, at):
        if tag == "TRIGGERRATE":
            raise RuntimeError("no such time")

    feed = StatusFeed("127.0.0.1", port, context, fail)
    feed.start()
    feed.wait_linked(WAIT)
    heard(sock, feed)
    rate = b'{"HiTime":"2026-13-45T00:00:00Z","Duration":1,"CountsSeen":["x"]}'
    sock.send_multipart([b"TRIGGERRATE", rate])
    sock.send_multipart([b"STATUS", b'{"Running":false}'])
    feed.wait_for("STATUS", lambda s: not s["Running"], WAIT, what="it rests")
    feed.close()
    assert "taking a status message failed" in caplog.text and "no such time" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "9999-01-01T00:00:00Z",
     "0001-01-01T00:00:00Z", "now", ""],
)  # fmt: skip
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)


# -- photons --------------------------------------------------------------------------------


def summaries(n, **fields):
    array = np.zeros(n, summary_dtype(5))
    for name, value in fields.items():
        array[name] = value
    return encode_summaries(array)


GARBAGE = {
    "short-header": (b"abc", b""),
    "empty": (b"", b""),
    "odd-coefficients": (summaries(1)[0][0], b"1234567"),
    "version": summaries(1, version=9)[0],
    "three-frames": (*summaries(1)[0], b"more"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_photons_that_make_no_sense_cost_no_others(published, what, caplog):
    sock, port, context = published
    got, arrived = [], threading.Event()

    def take(arrays, at, drained):
        got.extend(int(t) for array in arrays for t in array["t_ns"])
        if got and got[-1] == 99:
            arrived.set()

    stream = PhotonStream("127.0.0.1", port, context, take)
    stream.start()
    first = summaries(1, t_ns=1)[0]
    while not got:  # until the subscription has arrived there
        sock.send_multipart(first)
        arrived.wait(0.02)
    for pair in summaries(3, t_ns=[5, 6, 7]):
        sock.send_multipart(pair)
    sock.send_multipart(GARBAGE[what])
    while not arrived.is_set():
        sock.send_multipart(summaries(1, t_ns=99)[0])
        arrived.wait(0.02)
    stream.close()
    if what != "three-frames":  # what follows it in the batch cannot be told apart
        assert [t for t in got if t in (5, 6, 7)] == [5, 6, 7]
        assert stream.malformed == 1
    assert "make no sense" in caplog.text


def test_a_receiver_that_fails_does_not_end_the_stream(published, caplog):
    sock, port, context = published
    calls = threading.Semaphore(0)

    def take(arrays, at, drained):
        calls.release()
        raise RuntimeError("disk full")

    stream = PhotonStream("127.0.0.1", port, context, take)
    stream.start()
    assert calls.acquire(timeout=WAIT) and calls.acquire(timeout=WAIT)
    stream.close()
    assert "taking photons failed" in caplog.text and "disk full" in caplog.text


# -- another client of the server -------------------------------------------------------------


class Run:
    error = None

    def fail(self, error):
        self.error = error

    def came_before(self, index, time_ns):
        pass


def test_a_message_that_a_busy_machine_takes_late_is_no_other_speed():
    receiver = Receiver("tes", "tes (Dastard here:5500)")
    for second, at in enumerate((0.0, 1.0, 2.0, 3.9)):
        told = {"HiTime": f"2026-01-31T12:00:0{second}Z", "Duration": 10**9, "CountsSeen": [1]}
        receiver.status("TRIGGERRATE", told, at)
    receiver.clock.scale = 1.0
    receiver.check_speed()
    receiver.clock.scale = 3.0
    with pytest.raises(DastardError, match="clock runs 0.69 s per second here, .* time_scale is 3"):
        receiver.check_speed()


STATE = {
    "STATUS": {"Running": True, "Nsamples": 1024, "ChannelsWithProjectors": [0, 1]},
    "TRIGGER": [{"ChannelIndices": [0, 1], "EdgeMulti": True}, {"ChannelIndices": [2], "Level": 1}],
    "CHANNELNAMES": ["chan1", "chan2", "chan3"],
    "WRITING": {"Active": True, "Paused": False, "FilenamePattern": "a"},
    "STATELABEL": "RUN1",
}
OTHERS = {
    "stopped": ("STATUS", {**STATE["STATUS"], "Running": False}, "Running was True, is False"),
    "lengths": ("STATUS", {**STATE["STATUS"], "Nsamples": 512}, "Nsamples was 1024, is 512"),
    "projectors": ("STATUS", {**STATE["STATUS"], "ChannelsWithProjectors": []}, "projectors"),
    "triggers": ("TRIGGER", [{"ChannelIndices": [0, 1, 2], "EdgeMulti": False}], "triggers"),
    "channels": ("CHANNELNAMES", ["chan1"], "channels"),
}


def watched(state=STATE):
    receiver, run = Receiver("tes", "tes (Dastard here:5500)"), Run()
    receiver.hand_to(run, ServerWatch(state.get, "RUN1"))
    return receiver, run


@pytest.mark.parametrize("what", OTHERS)
def test_another_client_that_changes_the_detector_ends_the_run(what):
    tag, content, words = OTHERS[what]
    receiver, run = watched()
    for told, same in STATE.items():
        receiver.status(told, same, 0.0)
    mixed = [
        {**group, "ChannelIndices": group["ChannelIndices"][::-1]} for group in STATE["TRIGGER"]
    ]
    receiver.status("TRIGGER", mixed[::-1], 0.0)  # in another order
    assert run.error is None
    receiver.status(tag, content, 0.0)
    assert isinstance(run.error, DastardError)
    assert words in str(run.error) and "Dastard here:5500" in str(run.error)


def test_what_changes_while_the_run_begins_is_found():
    state = dict(STATE)
    watch = ServerWatch(state.get, "RUN1")
    state["STATUS"] = OTHERS["stopped"][1]
    receiver, run = Receiver("tes", "tes"), Run()
    receiver.hand_to(run, watch)
    assert "Running was True" in str(run.error)


@pytest.mark.parametrize(
    "tag, content, words",
    [
        ("WRITING", {"Active": False, "FilenamePattern": "a"}, "Active was True, is False"),
        ("WRITING", {"Active": True, "Paused": True, "FilenamePattern": "a"}, "Paused was False"),
        ("WRITING", {"Active": True, "FilenamePattern": "b"}, "it was 'a', it is 'b'"),
        ("STATELABEL", "mine", "it was 'RUN1', it is 'mine'"),
    ],
)
def test_what_only_the_servers_files_depend_on_is_told_once(tag, content, words, caplog):
    receiver, run = watched()
    for _ in range(3):
        receiver.status(tag, content, 0.0)
    assert run.error is None
    assert caplog.text.count("somebody else changed") == 1 and words in caplog.text


def test_our_own_label_that_is_told_late_is_no_change(caplog):
    receiver, run = watched({**STATE, "STATELABEL": "START"})
    receiver.status("STATELABEL", "RUN1", 0.0)
    assert run.error is None and not caplog.text


@pytest.mark.parametrize(
    "projected, words",
    [
        ({0, 1}, r"changed within the run: channel 3 had some.* Another client\?"),
        ({0}, "sends photons without pulse heights: channel 3 has no projectors"),
    ],
    ids=["taken-away", "never-there"],
)
def test_photons_without_heights_end_the_run_in_the_same_words_as_the_server(projected, words):
    """A photon may come before the message that tells what another client did."""
    setup = Setup(
        "tes (Dastard here:5500)", np.array([1, 3], np.int32), None, Bins(0.0, 1.0, 1), 0, 0.0, 0,
        projected=frozenset(projected),
    )  # fmt: skip
    run = Acquisition(setup, None, None, None)
    photon = np.zeros(1, summary_dtype(0))
    photon["chan_index"] = 1
    run.add(photon)
    assert isinstance(run.error, DastardError)
    assert re.search(words, str(run.error)) and "Dastard here:5500" in str(run.error)
