"""The zone plate as an axis of a scan: what is kept when a move is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ophyd import Signal

from redoxscope.devices._focus_axis import FocusAxis
from redoxscope.testing import FakeAxis

IN_FOCUS = -5000.0


@pytest.fixture
def motor():
    return FakeAxis("zone_plate", IN_FOCUS, limits=(-20_000.0, -100.0))


@pytest.fixture
def defocus():
    return Signal(name="defocus", value=0.0)


@pytest.fixture
def axis(motor, defocus):
    energy = SimpleNamespace(
        zone_plate=SimpleNamespace(z=motor),
        position=640.0,
        focus=lambda energy: IN_FOCUS + defocus.get(),
    )
    return FocusAxis(energy, defocus, FakeAxis("osa_z"))


def test_a_move_is_kept_as_a_distance_from_focus(axis, motor, defocus):
    axis.set(IN_FOCUS + 30.0).wait(timeout=30)
    assert (motor.position, defocus.get()) == (IN_FOCUS + 30.0, 30.0)
    axis.set(IN_FOCUS + 10.0).wait(timeout=30)
    assert defocus.get() == 10.0 and axis.nominal() == IN_FOCUS


def test_of_a_move_that_is_refused_nothing_is_kept(axis, motor, defocus):
    """The energy would go off focus by as much the next time."""

    def away(value):
        raise TimeoutError("zone_plate does not answer")

    motor.set = away
    with pytest.raises(TimeoutError, match="does not answer"):
        axis.set(IN_FOCUS + 30.0)
    assert defocus.get() == 0.0
