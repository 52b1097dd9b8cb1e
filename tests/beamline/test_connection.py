"""How long devices are waited for, and what is said of those that do not answer."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ophyd import Component, Device, EpicsSignalRO, Signal

from redoxscope.beamline import PVConnectionError, _connection, connect, missing_pvs


class Slow:
    """Device whose PVs answer one after the other, ``each`` s apart; some never do."""

    def __init__(self, clock, count, each, never=0, name="slow"):
        self.clock, self.each, self.answering, self.name = clock, each, count - never, name
        self.signals = [
            SimpleNamespace(pvname=f"PV:{name}:{i}", connected=False) for i in range(count)
        ]

    def walk_signals(self, **_):
        return [SimpleNamespace(dotted_name=f"at{i}", item=s) for i, s in enumerate(self.signals)]

    def wait_for_connection(self, timeout):
        self.clock.now += timeout
        for i in range(min(self.answering, int(self.clock.now / self.each))):
            self.signals[i].connected = True
        if not all(s.connected for s in self.signals):
            raise TimeoutError


class Server:
    """A device behind a server of its own."""

    def __init__(self, error=None, name="tes", until=None):
        self.name, self.error, self.until, self.told = name, error, until, []

    def connect(self, timeout):
        self.told.append(timeout)
        if self.until is not None:
            assert self.until.wait(30), "the others are not waited for at the same time"
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_connection, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_many_pvs_over_a_slow_connection(clock):
    device = Slow(clock, 217, each=0.2)  # 43 s in all
    assert missing_pvs(device, timeout=10) == []


def test_pvs_that_never_answer_are_not_waited_for_longer(clock):
    device = Slow(clock, 20, each=0.1, never=2)
    assert missing_pvs(device, timeout=5) == [
        ("slow.at18", "PV:slow:18"), ("slow.at19", "PV:slow:19"),
    ]  # fmt: skip
    assert clock.now <= 2 + 5 + 0.5


def test_devices_connect_at_the_same_time(clock):
    """Each takes 10 s; one after the other they would take 40."""
    devices = [Slow(clock, 10, each=1.0, name=f"d{n}") for n in range(4)]
    assert missing_pvs(*devices, timeout=3) == []
    assert clock.now < 12


def test_what_is_slow_is_named(clock, caplog):
    fast, slow = Slow(clock, 3, each=0.1, name="fast"), Slow(clock, 4, each=1.5, name="slow")
    connect(fast, slow)
    waiting, done = [record.message for record in caplog.records]
    assert waiting.startswith("3 PVs do not answer yet: PV:slow:1 (slow.at1), PV:slow:2")
    assert "fast" not in waiting
    assert done.startswith("all answer, after 6.")


def test_a_warning_is_a_line_that_can_be_read(clock, caplog):
    """A device's own list of what it waits for, all of which has answered when it is looked at."""
    device = Slow(clock, 1, each=3.0, name="stxm")
    parts = ", ".join(f"stxm.scanner.part{i} (RS:Scan:Part{i})" for i in range(40))
    waits = device.wait_for_connection

    def wait_for_connection(timeout):
        try:
            waits(timeout)
        except TimeoutError:
            raise TimeoutError(f"Failed to connect to all signals: {parts}") from None

    device.wait_for_connection, device.walk_signals = wait_for_connection, lambda **_: []
    connect(device)
    waiting, done = [record.message for record in caplog.records]
    assert waiting.startswith("1 PVs do not answer yet: stxm: Failed to connect") and "…" in waiting
    assert len(waiting) < 120 and done.startswith("all answer")


def test_what_is_fast_is_not_talked_of(clock, caplog):
    connect(Slow(clock, 3, each=0.1))
    assert not caplog.records


def test_a_server_connects_while_pvs_do(clock):
    pvs_done = threading.Event()

    class Fast(Slow):
        def wait_for_connection(self, timeout):
            super().wait_for_connection(timeout)
            pvs_done.set()

    tes = Server(until=pvs_done)
    connect(Fast(clock, 2, each=0.01), tes, timeout=7)
    assert tes.told == [7]


def test_everything_that_does_not_answer_is_in_one_error(clock):
    gone = Server(ConnectionError("tes (Dastard 10.0.0.1:5500) is not reachable"))
    with pytest.raises(PVConnectionError) as caught:
        connect(Slow(clock, 2, each=0.1, never=1), gone, timeout=1)
    text = str(caught.value)
    assert "1 PVs and 1 servers do not answer within 1 s" in text
    assert "PV:slow:1  (slow.at1)" in text and "10.0.0.1:5500" in text


def test_a_single_server_tells_itself(clock):
    error = ValueError("no Dastard there")
    with pytest.raises(ValueError, match="no Dastard there"):
        connect(Server(error), Slow(clock, 2, each=0.01))


class Soft(Device):
    value = Component(Signal, value=1.0)


def test_devices_and_signals_without_pvs_are_there():
    connect(Soft(name="soft"), Signal(name="signal"))
    assert missing_pvs(Signal(name="signal"), Soft(name="soft"), timeout=1) == []


def test_what_answers_while_it_is_listed_is_there():
    """ophyd lists what it waits for; threads of the EPICS client take it off the list then."""
    device = Soft(name="soft")
    pending = device._required_for_connection

    class Listed:
        def format(self, **_):
            pending.clear()  # they answer
            return "listed"

    pending.update(one=Listed(), two=Listed())
    assert missing_pvs(device, timeout=60) == [] and not pending


def test_what_waits_for_something_of_its_own_is_named(clock):
    class Priming(Soft):
        def wait_for_connection(self, all_signals=False, timeout=2.0):
            clock.now += timeout
            raise TimeoutError("Pending operations: the plugin is not primed")

    with pytest.raises(PVConnectionError, match=r"the plugin is not primed  \(camera\)"):
        connect(Priming(name="camera"), timeout=1)


def test_what_is_only_made_when_it_is_asked_for_is_not_waited_for(clock):
    """Most PVs of ophyd's area detectors: each would be made, and waited for, to be named."""

    class Lazy(Device):
        needed = Component(EpicsSignalRO, "Needed")
        rarely = Component(EpicsSignalRO, "Rarely", lazy=True)

        def wait_for_connection(self, all_signals=False, timeout=2.0):
            clock.now += timeout
            raise TimeoutError

    device = Lazy("no-such-beamline:", name="camera")
    assert missing_pvs(device, timeout=1) == [("camera.needed", "no-such-beamline:Needed")]
    device.destroy()
