"""The command ``redoxscope watch``: a process that makes the maps of a session elsewhere."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import bluesky.plans as bp
import pytest

from redoxscope import start_session
from redoxscope.callbacks import DocumentPublisher
from redoxscope.cli._watch import _say, watch

from ..callbacks.rixs_runs import RixsRun
from ..callbacks.scan_runs import Particle, Run, region, scan_of
from ..callbacks.test_map_view import PNG
from ..callbacks.test_remote import Heard, Proxy

COMMAND = "from redoxscope.cli import main; main()"
LONG = 120.0
"""Longest time (s) for processes that import matplotlib on a busy machine."""


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.stop()


class Watch:
    """The command, and what it says."""

    def __init__(self, address: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "watch", address, "--folder", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.said.append(line)
                self._news.notify_all()

    def wait_said(self, text: str) -> None:
        with self._news:
            found = self._news.wait_for(lambda: any(text in line for line in self.said), LONG)
        assert found, self.said

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        status = self.process.wait(LONG)
        self._reader.join(LONG)
        return status


def test_a_session_elsewhere_is_watched(proxy, tmp_path):
    """Who began in the middle of a run is told so, gets bad messages, and has the maps."""
    run = Run(scan_of(region("left"), region("right")), (Particle(0.7), Particle(0.2)))
    documents = list(run.documents())
    with DocumentPublisher(proxy.into, name="beamline 7") as publisher:
        for pair in documents[:10]:
            publisher(*pair)
        watching = Watch(proxy.out, tmp_path)
        watching.wait_said("session beamline 7 is there")
        watching.wait_said("of its 10 documents are not here")
        publisher("event", {"descriptor": 5})
        publisher("nonsense", {})
        for pair in documents[10:]:
            publisher(*pair)
        for pair in RixsRun("O K", uid="next").documents(points=3):
            publisher(*pair)
        publisher("end", {})
        watching.wait_said("a message is dropped: 'nonsense' is the name of no document")
        # All before it have come, then; what has come is looked at before the end.
        watching.wait_said("'end' is the name of no document")
    assert watching.end() == 0, watching.said
    for name in ("live.png", "live_left.png", "live_right.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)


def test_it_ends_when_it_is_told_to_and_waits_for_who_is_not_there(tmp_path):
    proxy = Proxy()
    proxy.stop()
    watching = Watch(proxy.out, tmp_path)
    watching.wait_said("nothing answers at")
    assert watching.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("somewhere", "HOST:PORT = 'somewhere' must be the address of a 0MQ proxy"),
        ("0.0.0.0:5578", "names no machine"),
        ("127.0.0.1:5578", "there is no display for a window here: give --folder"),
    ],
)
def test_what_is_given_is_looked_at_first(address, words, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ValueError, match=words):
        watch(address)


def test_what_is_said_is_one_line_of_plain_text(capfd):
    """Names of sessions and plans come over the network."""
    _say("session \x1b[2J\ud800\nµ is there")
    assert capfd.readouterr().out == "session \ufffd[2J\ufffd\ufffdµ is there\n"


BENCH = """
name: bench
devices:
  angle: {class: ophyd.sim.SynAxis}
  diode: {class: ophyd.sim.SynSignal}
publish: PROXY
"""


def test_a_session_publishes_where_its_file_says_or_is_told_not_to(proxy, tmp_path):
    file = tmp_path / "bench.yml"
    file.write_text(BENCH.replace("PROXY", proxy.into))
    with Heard(proxy.out) as heard:
        with start_session(file, data=tmp_path / "data") as s:
            heard.wait_said("session bench is there")
            (uid,) = s.RE(bp.scan([s.diode], s.angle, 0, 1, 3))
            heard.wait(lambda: heard.documents and heard.documents[-1][0] == "stop")
            assert heard.documents[0][1]["uid"] == uid
            publisher = s.publisher
        heard.wait_said("session bench has ended")
        assert not publisher._thread.is_alive()
    assert [name for name, _ in heard.documents].count("event") == 3
    with start_session(file, data=tmp_path / "data", publish="") as s:
        assert s.publisher is None
    with pytest.raises(ValueError, match="publish = 'bench' must be the address"):
        start_session(file, publish="bench")
