"""A heating stage that is hung up while it is hot."""

from __future__ import annotations

from redoxscope.testing import FakeHeater


def test_the_guard_hears_no_more_of_it():
    heater = FakeHeater()
    status = heater.set(100)
    assert heater.guard.beating
    heater.destroy()
    assert not heater.guard.beating
    assert status.done and "was hung up" in str(status.exception(timeout=30))
