"""How long PVs are waited for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redoxscope.beamline import _connection


class Slow:
    """Device whose PVs answer one after the other, ``each`` s apart; some never do."""

    name = "slow"

    def __init__(self, clock, count, each, never=0):
        self.clock, self.each, self.answering = clock, each, count - never
        self.signals = [SimpleNamespace(pvname=f"PV:{i}", connected=False) for i in range(count)]

    def walk_signals(self, **_):
        return [SimpleNamespace(dotted_name=s.pvname.lower(), item=s) for s in self.signals]

    def wait_for_connection(self, timeout):
        self.clock.now += timeout
        for i in range(min(self.answering, int(self.clock.now / self.each))):
            self.signals[i].connected = True
        if not all(s.connected for s in self.signals):
            raise TimeoutError


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_connection, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_many_pvs_over_a_slow_connection(clock):
    device = Slow(clock, 217, each=0.2)  # 43 s in all
    assert _connection.missing_pvs(device, timeout=10) == []


def test_pvs_that_never_answer_are_not_waited_for_longer(clock):
    device = Slow(clock, 20, each=0.1, never=2)
    assert _connection.missing_pvs(device, timeout=5) == [("pv:18", "PV:18"), ("pv:19", "PV:19")]
    assert clock.now <= 2 + 5 + 0.5
