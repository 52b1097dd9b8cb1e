"""A FLY group on PVs that are only remembered, and a controller that a test plays."""

from __future__ import annotations

import queue

import numpy as np
from ophyd import Signal
from ophyd.sim import make_fake_device

from redoxscope.devices import FlyCounter, FlyLines, flown_by
from redoxscope.scan import Raster

from ..devices.scanner import fake_scanner  # teaches ophyd's fakes our signals
from ..devices.scanner.fake_scanner import FakeAsked, named

FakeScanner, FakeCounter = make_fake_device(flown_by(FlyLines)), make_fake_device(FlyCounter)
RASTER = Raster(-1.0, 1.0, 5, 0.0, 2.0, 3, 0.01)
assert fake_scanner.FakeScanner

IDLE, ARMED, FLYING, ERROR = range(4)


class FakeMotor:
    """``stuck``: it stays where it is; ``silent``: its put does not complete."""

    tolerance = 0.05

    def __init__(self, name, orders):
        self.name, self.orders = name, orders
        self.user_setpoint = named(Signal(name=f"{name}_set", value=0.0))
        self.user_readback = named(Signal(name=f"{name}_is", value=0.0))
        self.motor_stop = named(Signal(name=f"{name}_stop", value=0))
        self.motor_done_move = named(Signal(name=f"{name}_done", value=1))
        self.user_setpoint.put = self._go
        self.motor_stop.put = lambda *_, **__: orders.put(f"stop {name}")
        self.stuck = self.silent = False

    def time_to(self, target):
        return 0.1

    def _go(self, value, *, callback=None, **_):
        self.orders.put(f"{self.name} {value:g}")
        Signal.put(self.user_setpoint, value)
        if not self.stuck:
            self.user_readback.put(value)
        self.arrived = callback
        if not self.silent:
            callback()


class FakeGate:
    name, blade, told_to_follow, follows = "gate", None, True, True

    def check_free(self):
        pass

    def following(self):
        return []


class FlyWorld:
    """The scanner, and what its controller was told: ``orders`` holds "arm", "go", "y 1", …"""

    def __init__(self, raster=RASTER):
        self.orders = queue.Queue()
        self.scanner = FakeScanner("F:", name="scanner")
        self.source = self.scanner.source
        self.trans = FakeCounter("T:", name="transmission", field="transmission")
        self.i0 = FakeCounter("I:", name="i0", field="i0")
        for device in (self.scanner, self.trans, self.i0):
            for item in device.walk_signals():
                if not hasattr(type(item.item), "pvname"):
                    item.item.pvname = f"{device.prefix}{item.item.attr_name}"
        self.x, self.y = FakeMotor("x", self.orders), FakeMotor("y", self.orders)
        self.asked, self.gate = FakeAsked(), FakeGate()
        source = self.source
        for signal in (source.start, source.stop_at, source.npoints, source.dwell_ms, source.axis):
            self._answering(signal)
        for det in (self.trans, self.i0):
            self._answering(det.dwell_ms), self._answering(det.npoints)
            det.line_error.sim_put(""), det.line_state.sim_put(0), det.index.sim_put(100)
        source.state.sim_put(IDLE), source.error.sim_put(""), source.index.sim_put(40)
        source.arm.put, source.go.put, source.abort.put = self._arm, self._go, self._abort
        self.refuses, self.aborting, self.going = "", False, None
        scalars = {"energy": self.asked.mono}
        self.scanner.attach([self.trans, self.i0], scalars, self.gate, self.asked, (self.x, self.y))
        self.raster = raster
        self.scanner.prepare(raster).wait(timeout=30)

    @staticmethod
    def _answering(signal):
        def put(value, *, callback=None, **_):
            signal.sim_put(value)
            if callback is not None:
                callback()

        signal.put = put

    def _arm(self, value, *, callback=None, **_):
        self.orders.put("arm")
        self.aborting = False
        self.source.state.sim_put(ERROR if self.refuses else ARMED)
        self.source.error.sim_put(self.refuses)
        callback()

    def _go(self, value, *, callback=None, **_):
        self.orders.put("go")
        self.going = callback
        if self.aborting:  # the flag lay there: it ends at once
            self.over(IDLE)
        else:
            self.source.state.sim_put(FLYING)

    def _abort(self, value, *, callback=None, **_):
        self.orders.put("abort")
        self.aborting = True
        if self.going is not None:
            self.over(IDLE)
        if callback is not None:
            callback()

    def over(self, state, text=""):
        """GO completes."""
        going, self.going = self.going, None
        self.source.state.sim_put(state)
        self.source.error.sim_put(text)
        going()

    def told(self, *expected):
        """The next orders are these."""
        got = [self.orders.get(timeout=60) for _ in expected]
        assert got == list(expected), got
        assert self.orders.empty(), self.orders.queue

    def fly(self):
        self.scanner.kickoff().wait(timeout=30)
        self.told("arm", "y 0", "go")

    def line(self, *, by=1, counted=1, zeros=False, nx=None, meddle=None, trans=1000.0):
        """A line ends as the contract says: counters, DATA, POS, INDEX, STATE, completion."""
        raster = self.raster
        for det, counts in ((self.trans, trans), (self.i0, 2000.0)):
            det.index.sim_put(det.index.get() + counted)
            det.line.sim_put(np.full(nx or raster.nx, counts))
        x = np.linspace(raster.x_start, raster.x_stop, raster.nx)
        self.source.pos.sim_put(0 * x if zeros else x)
        self.source.index.sim_put(self.source.index.get() + by)
        if meddle is not None:
            meddle()
        self.over(ARMED)

    def rows(self):
        """(line, status) of the lines that are ready."""
        self.page = next(iter(self.scanner.collect_pages()), None)
        data = self.page["data"] if self.page else {"line": [], "line_status": []}
        return list(zip(data["line"], data["line_status"], strict=True))
