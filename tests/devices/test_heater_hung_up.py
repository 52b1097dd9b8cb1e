"""A heating stage that is hung up while it is hot."""

from __future__ import annotations

import threading

from redoxscope.testing import FakeHeater


def test_the_guard_hears_no_more_of_it():
    heater = FakeHeater()
    status = heater.set(100)
    assert heater.guard.beating
    heater.destroy()
    assert not heater.guard.beating
    assert status.done and "was hung up" in str(status.exception(timeout=30))


def test_a_pause_before_the_first_order_holds():
    """The thread that orders a ramp may come to it when the plan has paused already."""
    heater = FakeHeater()
    with heater.ordering:  # so it has ordered nothing yet
        status = heater.set(100)
        heater.pause()
    looked = threading.Event()
    heater.controller.reading.subscribe(lambda **_: heater.clock.now() > 900 and looked.set())
    for _ in range(3000):  # time passes as its readings are asked for
        if heater.clock.now() > 900 or looked.wait(0.1):
            break
    assert heater.clock.now() > 900
    assert heater.position < 25 and not status.done
    heater.resume()
    status.wait(timeout=300)
    assert abs(heater.position - 100) < 1
    heater.destroy()
