"""A third source, as somebody else would write it: all the rest works with it at once."""

from __future__ import annotations

import logging
import queue

import numpy as np
import pytest
from ophyd import Device

from redoxscope.devices import FlownLine, LineLimits, LineSource, ScannerState, flown_by
from redoxscope.devices._base import Move, done
from redoxscope.devices._times import FrameTime
from redoxscope.documents import LineStatus
from redoxscope.scan import Raster

from ..devices.scanner.fake_scanner import FakeAsked, FakeCounter, FakeShutter, error_of

OK, RETRIED, MISSED, DISTURBED = LineStatus
RASTER = Raster(-1.0, 1.0, 5, 0.0, 2.0, 3, 0.01)


class SoftLines(Device):
    """A controller without any PV; the test says when a line has ended."""

    flying = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.begun = queue.Queue()  # (flight, line)

    def attach(self, detectors, axes, listener):
        self.detectors, self.listener = detectors, listener

    def where(self):
        own = dict.fromkeys(("line", "index", "state", "sample_x", "sample_y"), "soft")
        return own | {det.field: f"soft {det.field}" for det in self.detectors}

    def signals(self):
        return []

    def limits(self):
        return LineLimits(1e-3, 1.0, 1000, 0.0)

    def frame_time(self, nx, ny, dwell):
        return FrameTime(nx * ny * dwell, 0.0, 0.0)

    def patience(self, raster):
        return 60.0

    def write(self, raster, origin):
        self.raster, self.origin = raster, origin
        return done()

    def held(self, raster, again):
        return []

    def ready(self, flight, line, *, clean):
        return None

    def launch(self, flight, line):
        self.flying = True
        self.begun.put((flight, line))

    def until_idle(self, timeout):
        return None

    def halt(self, needed, patience):
        self.flying = False
        halted = Move("halting", patience)
        halted.end()
        return halted

    def halt_now(self):
        self.flying = False

    def doing(self, *, ask):
        return ScannerState.FLYING if self.flying else ScannerState.IDLE

    def how_to_halt(self):
        return "source.halt_now()"

    def end(self, **trouble):
        """The line has ended; the next one begins, where the flight is not void."""
        flight, line = self.begun.get(timeout=60)
        raster, (x0, y0) = self.raster, self.origin
        x = np.linspace(raster.x_start, raster.x_stop, raster.nx) + x0
        y = np.full(raster.nx, np.linspace(raster.y_start, raster.y_stop, raster.ny)[line] + y0)
        counts = {det.field: np.full(raster.nx, 1000.0) for det in self.detectors}
        self.listener.on_line(FlownLine(flight, line, 1.6e9, x, y, counts, **trouble))

        self.listener.still(flight, lambda: self.begun.put((flight, line + 1)))


@pytest.fixture
def scanner():
    scanner = flown_by(SoftLines)(name="scanner")
    asked = FakeAsked()
    counters = [FakeCounter("T:", name="transmission", field="transmission")]
    scanner.attach(counters, {"energy": asked.mono}, FakeShutter(), asked)
    scanner._asked.mono.put(640.0)
    scanner.prepare(RASTER).wait(timeout=30)
    scanner.kickoff().wait(timeout=30)
    scanner._shutter.status.put(1)
    return scanner


def rows(scanner):
    page = next(scanner.collect_pages())["data"]
    return list(zip(page["line"], page["line_status"], strict=True))


def test_it_is_a_line_source():
    assert isinstance(SoftLines(name="soft"), LineSource)
    with pytest.raises(TypeError, match="Device is no LineSource"):
        flown_by(Device)(name="scanner")


def test_lines_tries_and_flags_come_by_themselves(scanner, caplog):
    source = scanner.source
    with caplog.at_level(logging.WARNING):
        source.end(missed="it said so")
        source.end()  # again
        source.end(wrong=("the stage shook",))
        source.end(wrong=("the stage shook",))
        source.end(missed="once")
        source.end(missed="twice")
    assert rows(scanner) == [(0, RETRIED), (1, DISTURBED), (2, MISSED)]
    assert "line 0 was missed: it said so; flown again" in caplog.text
    assert scanner.flown and scanner.finished


def test_what_must_hold_is_watched(scanner):
    scanner._asked.mono.put(700.0)
    scanner.source.end()
    scanner.source.end()
    assert scanner._asked.sent_back == 1
    assert rows(scanner) == [(0, RETRIED)]


def test_an_error_of_it_ends_the_image(scanner):
    scanner.source.listener.on_error(
        RuntimeError("it broke"), scanner.source.begun.get(timeout=60)[0]
    )
    assert "it broke" in str(error_of(scanner.trigger()))
