"""A raster scanner on PVs that are only remembered, and a controller that a test plays."""

from __future__ import annotations

import queue
from types import SimpleNamespace

import numpy as np
from ophyd import Signal
from ophyd.sim import FakeEpicsSignal, FakeEpicsSignalRO, fake_device_cache, make_fake_device

from redoxscope.devices import LineCounter, RasterScanner
from redoxscope.devices._base import done
from redoxscope.devices._lines import LineArray
from redoxscope.devices._positioner import FreshSignal, FreshSignalRO
from redoxscope.devices._watch import Held
from redoxscope.scan import Raster

fake_device_cache.update(
    {LineArray: FakeEpicsSignalRO, FreshSignalRO: FakeEpicsSignalRO, FreshSignal: FakeEpicsSignal}
)
FakeScanner, FakeCounter = make_fake_device(RasterScanner), make_fake_device(LineCounter)

RASTER = Raster(-1.0, 1.0, 5, 0.0, 2.0, 3, 0.01)


class FakeShutter:
    name = "shutter"

    def __init__(self):
        self.status, self.mode = named(Signal(name="status", value=0)), Signal(name="mode", value=1)
        named(self.mode)
        self.told_to_follow = self.follows = True
        self.blade = self.status

    def following(self):
        meaning = "it was taken out of following the scanner by somebody else"
        return [Held(self.name, self.mode, 1.0, meaning=meaning)]


class FakeAsked:
    """A monochromator that a scan may send back, and a stage that it may not."""

    def __init__(self):
        self.mono = named(Signal(name="mono", value=640.0))
        self.stage = named(Signal(name="stage", value=0.0))
        self.sent_back = 0
        self.reachable = True
        self.meanwhile = lambda: None

    def begin(self):
        pass

    def pin(self, raster):
        return (100.0, 50.0)

    def held(self):
        return [
            Held("mono", self.mono, 640.0, 0.02, "eV", self.restore),
            Held("stage", self.stage, 0.0, 0.1, "µm"),
        ]

    def restore(self):
        self.sent_back += 1
        self.meanwhile()
        if self.reachable:
            self.mono.put(640.0)
        return done()


def named(signal):
    """A soft signal with what only a PV has."""
    signal.pvname = f"X:{signal.name}"
    get = signal.get
    signal.get = lambda **_: get()
    return signal


class World:
    """The scanner, and what its controller was told: ``orders`` holds "halt" and lines."""

    def __init__(self, *, monitor=True, raster=RASTER, ring=500.0):
        self.orders = queue.Queue()
        self.asked, self.shutter = FakeAsked(), FakeShutter()
        self.scanner = FakeScanner("S:", name="scanner")
        self.trans = FakeCounter("T:", name="transmission", field="transmission")
        self.i0 = FakeCounter("I:", name="i0", field="i0")
        self.counters = [self.trans, self.i0] if monitor else [self.trans]
        self.ring = named(Signal(name="ring_current", value=ring))
        for device in (self.scanner, self.trans, self.i0):
            for signal in device.walk_signals():
                signal.item.pvname = f"{device.prefix}{signal.item.attr_name}"
        self.scanner.margin.put(60.0)
        self.number, self.stamp, self.halts_at_once = 0, 1e9, True
        self.scanner.source.abort.sim_set_putter(lambda *_: None)
        self.scanner.source.abort.put = self._abort
        self.scanner.source.go.put = self._go
        for name in ("x_start", "x_stop", "nx", "y_start", "y_stop", "ny", "dwell"):
            self._answering(getattr(self.scanner.source, name))
        scalars = {"energy": self.asked.mono, "ring_current": self.ring}
        self.scanner.attach(self.counters, scalars, self.shutter, self.asked)
        self.raster = raster
        self.scanner.prepare(raster).wait(timeout=30)

    @staticmethod
    def _answering(signal):
        def put(value, *, callback=None, **_):
            signal.sim_put(value)
            if callback is not None:
                callback()

        signal.put = put

    def _abort(self, value, *, callback=None, **_):
        self.orders.put("halt")
        if self.halts_at_once:
            self.shutter.status.put(0)
            self.scanner.source.state.sim_put(0)
            if callback is not None:
                callback()
        else:
            self.halted = callback

    def _go(self, line, **_):
        self.scanner.source.state.sim_put(1)
        self.shutter.status.put(1)
        self.orders.put(line)

    def told(self, *expected):
        """The next orders are these."""
        for order in expected:
            assert self.orders.get(timeout=60) == order
        assert self.orders.empty()

    def fly(self):
        self.scanner.kickoff().wait(timeout=30)
        self.told(0)

    def line(self, line, *, trans=1000.0, i0=2000.0, missed=0, off=0.0, nx=None, lost=False):
        """Publish a line as the controller does: arrays, then the index; i0 may be an array."""
        raster = self.raster
        nx = raster.nx if nx is None else nx
        self.number += 1
        self.stamp += 1.0
        x = np.linspace(raster.x_start, raster.x_stop, raster.nx)[:nx] + 100.0 + off
        y = np.full(nx, np.linspace(raster.y_start, raster.y_stop, raster.ny)[line] + 50.0)
        for counter, counts in ((self.trans, trans), (self.i0, i0)):
            counter.line.sim_put(
                np.broadcast_to(float(1) * counts, nx).copy(), timestamp=self.stamp
            )
            counter.index.sim_put(self.number, timestamp=self.stamp)
        if not lost:
            self.scanner.source.x.sim_put(x, timestamp=self.stamp)
        self.scanner.source.y.sim_put(y, timestamp=self.stamp)
        self.scanner.source.info.sim_put([self.number, line, missed], timestamp=self.stamp)
        self.scanner.source.index.sim_put(self.number, timestamp=self.stamp)

    def rows(self):
        """(line, status) of the lines that are ready."""
        pages = list(self.scanner.collect_pages())
        data = pages[0]["data"] if pages else {"line": [], "line_status": []}
        return list(zip(data["line"], data["line_status"], strict=True))

    def disconnect(self, *signals):
        for signal in signals:
            signal._metadata["connected"] = False
            signal._run_subs(sub_type=signal.SUB_META, **signal._metadata)

    def connect(self, *signals):
        for signal in signals:
            signal._metadata["connected"] = True
            signal._run_subs(sub_type=signal.SUB_META, **signal._metadata)


def error_of(status):
    """What a status failed with; it has to be done soon."""
    return SimpleNamespace(error=status.exception(timeout=60)).error
