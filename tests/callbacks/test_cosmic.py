"""Frames of a run as COSMIC's preprocessor sends them, to a subscriber of the real socket."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import zmq
from scipy import constants

from redoxscope.callbacks import CosmicPublisher
from redoxscope.callbacks.ptychography import _cosmic
from redoxscope.callbacks.ptychography._frames import UnreadableFramesError
from redoxscope.devices.ptycho import FrameNumbers
from redoxscope.documents import FrameStatus
from redoxscope.plans import ptychography
from redoxscope.scan import Role, Scan
from redoxscope.testing import FakePtycho, make_engine

from .ptycho_runs import PtychoRun

NUMBERS = FrameNumbers(distance=80_000.0, defocus=1.0, saturation=60_000.0, read_noise=3.0)
GAIN, RATE, DARK = 10, 2000.0, 12
REGION = {"center": (0.1, 0.2), "size": (0.3, 0.2)}
ASKED = {"energies": [640, 650], "step": 0.1, "exposures": (0.1, 0.4), "dark_frames": 2}


def picture(energy, x, y, time, beam):
    """Counts: a dark level, and light that rises with x."""
    return np.full((32, 32), DARK + beam * RATE * time * (1 + x), np.uint16)


def published():
    """A publisher at a port that is free; somebody else may take it first."""
    for _ in range(20):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        try:
            return CosmicPublisher(f"127.0.0.1:{port}")
        except ValueError:
            continue
    raise AssertionError("no port is free")


class Followed:
    """A publisher, a subscriber, and what came."""

    def __init__(self, folder):
        numbers = replace(NUMBERS, pixel=960.0, gain=float(GAIN))
        self.station = FakePtycho(folder, picture=picture, numbers=numbers, shape=(32, 32))
        self.engine, self.documents = make_engine()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVTIMEO, 60_000)
        self.publisher = published()
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.connect(self.publisher.address)
        self.until_it_is_heard()
        self.engine.subscribe(self.publisher)

    def until_it_is_heard(self):
        """A handshake does not say that the publisher knows of the subscription."""
        for _ in range(1200):
            self.send(b"hello")
            if self.socket.poll(50):
                break
        self.send(b"ready")
        while self.socket.recv_multipart() != [b"ready"]:
            pass

    def send(self, word):
        with self.publisher._changed:  # its thread has nothing to do and waits for this lock
            self.publisher._socket.send_multipart([word])

    def messages(self, last):
        """What comes until a topic has come so often."""
        found, left = [], dict(last)
        while any(left.values()):
            topic, content, *data = self.socket.recv_multipart()
            found.append((topic.decode(), json.loads(content), *data))
            if found[-1][0] in left:
                left[found[-1][0]] -= 1
        return found

    def close(self):
        self.publisher.close()
        self.socket.close(0)
        self.context.term()


@pytest.fixture
def followed(tmp_path):
    found = Followed(tmp_path)
    yield found
    found.close()


def test_an_existing_consumer_can_follow_a_run(followed):
    followed.engine(ptychography(followed.station, REGION, **ASKED))
    messages = followed.messages({"stop": 2})
    scan = Scan.from_start(followed.documents.start)
    parts = {
        f"{followed.documents.start['uid'][:8]}_{i}": part
        for i, part in enumerate(scan.exposures)
        if part.role is Role.SAMPLE
    }
    topics = [message[0] for message in messages]
    assert topics == (["start"] + ["frame"] * 6 + ["stop"]) * 2
    starts = [message[1] for message in messages if message[0] == "start"]
    assert [start["identifier"] for start in starts] == list(parts)
    for start, part in zip(starts, parts.values(), strict=True):
        assert start["energy"] == pytest.approx(part.energy * constants.e)  # J, lengths in m
        assert start["exp_num_total"] == 6 and start["double_exposure"] is True
        assert (start["dwell1"], start["dwell2"]) == (400.0, 100.0)  # ms; the long one is 1
        np.testing.assert_allclose(start["translations"], 1e-6 * np.array(part.positions))
        assert start["detector_distance"] == pytest.approx(0.08)
        assert start["x_pixel_size"] == pytest.approx(960e-6)
        assert start["output_frame_width"] == 32
        geometry = start["geometry"]
        assert geometry["basis_vectors"] == [[0, -geometry["psize"], 0], [-geometry["psize"], 0, 0]]
        probe = np.array(start["illumination_real"]) + 1j * np.array(start["illumination_imag"])
        assert probe.shape == (32, 32) and np.abs(probe).max() > 0
        assert set(np.unique(start["illumination_mask"])) == {0, 1}
    for topic, content, *data in messages:
        if topic != "frame":
            continue
        part = parts[content["identifier"]]
        x, y = part.positions[content["index"]]
        assert (content["posx"], content["posy"]) == pytest.approx((1e-6 * x, 1e-6 * y))
        shape = content["shape_y"], content["shape_x"]
        counts = np.frombuffer(data[0], content["dtype"]).reshape(shape)
        # photons in both exposures together, without the dark
        np.testing.assert_allclose(counts, RATE * 0.5 * (1 + x) / GAIN, rtol=0.01)


def test_a_place_without_a_frame_is_left_out_and_counted(followed):
    followed.station.camera.faults = [None, None, "miss", "miss"]
    followed.engine(ptychography(followed.station, REGION, **{**ASKED, "energies": [640]}))
    messages = followed.messages({"stop": 1})
    indices = [message[1]["index"] for message in messages if message[0] == "frame"]
    assert indices == [4, 5]
    followed.publisher.close()
    assert followed.publisher.lost == 4


def test_a_place_is_where_a_frame_of_it_was_taken(tmp_path):
    run = PtychoRun(tmp_path / "frames.h5", energies=(641.2,), step=0.1, places_per_block=50)
    documents = list(run.documents())
    data = [doc for name, doc in documents if name == "event"][-1]["data"]
    data["frame_status"][1] = int(FrameStatus.MISSED)  # the long exposure of the first place
    data["row"][1], data["x"][1], data["y"][1] = -1, float("nan"), float("nan")
    sent = _cosmic._Run(documents[0][1])
    never = threading.Event()
    parts = [found for pair in documents[1:] for found in sent.take(*pair, never)]
    frames = [json.loads(content) for topic, content, *_ in parts if topic == b"frame"]
    x, y = run.scan.exposures[-1].positions[0]
    assert (frames[0]["posx"], frames[0]["posy"]) == pytest.approx((1e-6 * x, 1e-6 * y))
    sent.close()


def test_a_file_that_stays_away_is_waited_for_once(tmp_path, monkeypatch):
    run = PtychoRun(tmp_path / "frames.h5", energies=(641.2,), step=0.1, places_per_block=4)
    documents = list(run.documents())
    run.path.unlink()
    monkeypatch.setattr(_cosmic, "TRIES", 3)
    sent, waits = _cosmic._Run(documents[0][1]), []
    never = SimpleNamespace(wait=waits.append)
    failed = 0
    for pair in documents[1:]:
        try:
            list(sent.take(*pair, never))
        except UnreadableFramesError:
            failed += 1
    assert failed > 3 and len(waits) == 2  # between the tries of the first block only


def test_without_a_probe_that_fits_the_frames_come_all_the_same(followed, caplog):
    followed.station.pixel.put(60.0)  # the camera does not see the beam's whole cone
    followed.engine(ptychography(followed.station, REGION, **{**ASKED, "energies": [640]}))
    messages = followed.messages({"stop": 1})
    assert len(messages) == 8 and "illumination_real" not in messages[0][1]
    assert "no illumination is sent: outer_zone_nm = 45 nm" in caplog.text


def test_a_run_that_fails_is_an_abort(followed):
    followed.station.camera.faults = [None, None, None] + ["miss"] * 6
    given = {**ASKED, "step": 0.05}
    with pytest.raises(RuntimeError, match="no frame of 3 blocks"):
        followed.engine(ptychography(followed.station, REGION, **given))
    messages = followed.messages({"abort": 1})
    assert messages[0][0] == "start" and messages[-1][1] == {
        "identifier": messages[0][1]["identifier"]
    }


def test_other_runs_and_nobody_there_hinder_nothing(tmp_path, followed):
    followed.publisher("start", {"uid": "abc", "plan_name": "count"})
    followed.publisher("event", {"descriptor": "none", "data": {}})
    followed.socket.close(0)
    followed.engine(ptychography(followed.station, REGION, **ASKED))
    assert followed.documents.stop["exit_status"] == "success"
    followed.publisher.close()
    assert not followed.publisher._thread.is_alive()


def test_an_address_that_is_none_or_taken_is_refused(followed):
    with pytest.raises(ValueError, match="cosmic = 'nowhere' must be the address"):
        CosmicPublisher("nowhere")
    with pytest.raises(ValueError, match="cosmic = tcp://127.0.0.1:.* cannot be taken"):
        CosmicPublisher(followed.publisher.address.removeprefix("tcp://"))
