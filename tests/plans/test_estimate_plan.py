"""The time of a whole plan, from its messages; none of them is carried out."""

from __future__ import annotations

import math

import pytest
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import plans as bp
from ophyd import Signal

from redoxscope.plans import energy_stack, estimate, rixs_map, with_beam
from redoxscope.plans.estimates import _of_plan
from redoxscope.plans.support import Foreseen
from redoxscope.scan import points_scan, stack_scan
from redoxscope.testing import FakeAxis, FakeMono, FakePoint, FakeShutter, FakeSpectrometer

from .timed import timed_microscope


class Heater(FakeAxis):
    """Ramps at ``rate`` (degC/min), 60 s of settling; it must not be set by who only looks."""

    def __init__(self):
        super().__init__("heater", 20.0, unit="degC", limits=(20.0, 600.0))
        self.rate = Signal(name="heater_rate", value=10.0)
        self.soaking = Soaking()

    def time_to(self, target, start=None, rate=None):
        way = abs(target - (self.position if start is None else start))
        return 60.0 * way / (rate or self.rate.get()) + 60.0

    def set(self, value):
        raise AssertionError("something was set")


class Soaking:
    name, parent = "heater_soaking", None

    def time_to(self, seconds, start=None):
        return seconds

    def set(self, seconds):
        raise AssertionError("something was set")


@pytest.fixture
def heater():
    return Heater()


def test_what_is_set_takes_as_long_as_the_device_says(heater):
    assert estimate(bps.mv(heater, 100)).total == pytest.approx(80 * 6 + 60)


def test_a_rate_that_the_plan_sets_holds_for_what_comes_after(heater):
    def plan():
        yield from bps.mv(heater.rate, 2)
        yield from bps.mv(heater, 100)
        yield from bps.mv(heater.soaking, 5 * 3600)
        yield from bps.sleep(7)
        yield from bps.mv(heater, 40)

    found = estimate(plan())
    assert found.total == pytest.approx(80 * 30 + 60 + 18000 + 7 + 60 * 30 + 60)
    assert found.ok and not found.unknown
    assert heater.rate.get() == 10.0


def test_what_goes_on_at_the_same_time_counts_once(heater):
    slow = FakeAxis("slow", 0.0)
    slow.time_to = lambda target, start=None: 1000.0
    assert estimate(bps.mv(heater, 30, slow, 5)).total == 1000.0


def test_a_scan_of_bluesky_over_the_heater(heater):
    detector = FakePoint("det")
    detector.point_time = lambda dwell=2.0: dwell
    found = estimate(bp.scan([detector], heater, 25, 200, 8))
    assert (found.runs, found.events) == (1, 8)
    assert found.total == pytest.approx(5 * 6 + 7 * 25 * 6 + 8 * (60 + 2))
    assert found.live == pytest.approx(16.0)


def test_a_dwell_that_is_set_is_the_time_of_a_point():
    detector = FakePoint("det")
    detector.dwell = Signal(name="det_dwell", value=1.0)
    detector.point_time = lambda dwell=None: 1.0 if dwell is None else dwell

    def plan():
        yield from bps.mv(detector.dwell, 5.0)
        yield from bp.count([detector], 3)

    assert estimate(plan()).live == pytest.approx(15.0)


def test_a_plan_of_ours_takes_what_its_scan_does():
    stxm = timed_microscope()
    scan = stack_scan(
        energies=[645.0, 655.0], dwell=0.01,
        regions=[{"center": [0, 0], "size": [4, 2], "pixels": [20, 10], "name": "A"}],
    )  # fmt: skip
    plan = energy_stack(
        stxm, energies=[645.0, 655.0], center=(0, 0), size=(4, 2), pixels=(20, 10), dwell=0.01
    )
    found, wanted = estimate(plan), estimate(scan, stxm)
    assert found.total == pytest.approx(wanted.total, abs=1e-6) and found.runs == 1
    assert found.live == pytest.approx(wanted.live)


def test_a_map_of_ours_takes_what_its_scan_does():
    mono = FakeMono()
    tes = FakeSpectrometer(mono)
    wanted = estimate(points_scan(energies=[640.0, 650.0], dwell=2.0), tes, mono)
    found = estimate(rixs_map(tes, mono, energies=[640.0, 650.0], passes=1, dwell=2.0))
    assert (found.total, found.live) == (pytest.approx(wanted.total), 4.0)
    assert tes.taken == [] and mono.position == 600.0


def test_what_a_plan_foresees_itself_counts_and_leaves_devices_there(heater):
    def plan():
        yield Msg("null", heater, scan=Foreseen(1000.0, 300.0, ((heater, 600.0),)))
        yield from bps.mv(heater, 590)

    found = estimate(plan())
    assert found.total == pytest.approx(1000 + 10 * 6 + 60) and found.live == 300.0


def test_what_is_not_known_is_said(heater):
    axis = FakeAxis("stage", 0.0)
    if hasattr(axis, "time_to"):
        axis.time_to = None

    def plan():
        yield from bps.mv(axis, 5)
        yield Msg("null", heater, scan=Foreseen(math.nan))
        yield from bps.pause()

    found = estimate(plan())
    assert found.total == 0.0 and len(found.unknown) == 3
    assert "stage does not say how long its moves take" in found.unknown[0]
    assert "unknown   stage does not say" in repr(found)


def test_what_the_plan_refuses_is_told_and_not_raised(heater):
    def plan():
        yield from bps.mv(heater, 100)
        raise ValueError("heater = 900 degC is outside 20 to 600 degC")

    found = estimate(plan())
    assert not found.ok
    assert found.refused == ("heater = 900 degC is outside 20 to 600 degC",)
    assert found.total == pytest.approx(80 * 6 + 60)
    assert "refused   heater = 900 degC" in repr(found)


def test_a_plan_without_an_end_is_left(monkeypatch):
    monkeypatch.setattr(_of_plan, "MOST_MESSAGES", 100)
    closed = []

    def plan():
        try:
            while True:
                yield from bps.sleep(1)
        finally:
            closed.append(True)

    found = estimate(plan())
    assert found.total == 100.0 and "does not end" in found.unknown[0] and closed


def test_a_wrapped_plan_opens_no_shutter():
    shutter = FakeShutter()
    shutter.status = None
    found = estimate(with_beam(bp.count([FakePoint("det")], 2), shutter))
    assert found.events == 2 and not shutter.beam


def test_beside_a_plan_nothing_can_be_given(heater):
    plan = bps.mv(heater, 30)
    with pytest.raises(ValueError, match=r"estimate\(plan\), and nothing else"):
        estimate(plan, FakeMono())
    plan.close()
