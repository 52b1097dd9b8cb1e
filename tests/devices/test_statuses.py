"""Statuses that carry the cause, and the watchdog."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from ophyd.status import Status

from redoxscope.devices import DeviceError, _timers
from redoxscope.devices._base import Move, both, done, then
from redoxscope.devices._timers import Watchdog, call_later


def failed(error):
    status = Status()
    status.set_exception(error)
    return status


def test_then_runs_one_after_the_other():
    first, second = Status(), Status()
    whole = then(first, lambda: second)
    first.set_finished()
    assert not whole.done
    second.set_finished()
    whole.wait(timeout=60)


@pytest.mark.parametrize("whole", [
    lambda: then(failed(DeviceError("stage")), done),
    lambda: then(done(), lambda: failed(DeviceError("stage"))),
    lambda: both(Status(), failed(DeviceError("stage"))),
    lambda: both(failed(DeviceError("stage")), failed(DeviceError("other"))),
])  # fmt: skip
def test_a_failure_keeps_its_cause(whole):
    with pytest.raises(DeviceError, match="stage"):
        whole().wait(timeout=60)


def test_an_action_that_raises_fails_the_status():
    def action():
        raise KeyError("x")

    with pytest.raises(KeyError):
        then(done(), action).wait(timeout=60)


@pytest.mark.parametrize("whole", [lambda s: then(s, done), lambda s: both(s, done())])
def test_a_time_out_ends_what_waits_for_it(whole):
    """ophyd lets nobody pass on its StatusTimeoutError: this once hung for ever."""
    with pytest.raises(DeviceError, match="timeout"):
        whole(Status(timeout=0.01)).wait(timeout=60)


def test_both_waits_for_both():
    first, second = Status(), Status()
    whole = both(first, second)
    second.set_finished()
    assert not whole.done
    first.set_finished()
    whole.wait(timeout=60)


def test_a_move_ends_once():
    move = Move("stage (X) going to 1 um", 10)
    move.end()
    move.end(DeviceError("late"))
    move.wait(timeout=60)


def test_time_limits_come_in_order_and_survive_an_error():
    seen, last = [], threading.Event()
    with _timers._keeper.changed:  # nothing is due before all is asked for
        call_later(0.03, lambda: (seen.append(3), last.set()))
        call_later(0.02, lambda: seen.append(2))
        call_later(0.01, lambda: 1 / 0)
        call_later(0.015, lambda: seen.append("never")).cancel()
    assert last.wait(60) and seen == [2, 3]


def test_a_step_that_raises_ends_the_move():
    move = Move("stage (X) going to 1 um", 10)
    move.attempt(lambda: 1 / 0)
    with pytest.raises(DeviceError, match=r"stage \(X\) going to 1 um: division by zero"):
        move.wait(timeout=60)


def test_watchdog_is_put_off_by_feeding():
    late = threading.Event()
    dog = Watchdog(late.set)
    with _timers._keeper.changed:  # the first timer is not due before it is put off
        dog.feed(0.02)
        dog.feed(3600.0)
    assert not late.wait(0.1)
    dog.rest()
    dog.feed(0.01)
    assert late.wait(60) and dog.late


def test_watchdog_may_be_fed_with_less():
    late = threading.Event()
    dog = Watchdog(late.set)
    dog.feed(3600.0)
    dog.feed(0.01)
    assert late.wait(60)


def test_watchdog_rests():
    late = threading.Event()
    dog = Watchdog(late.set)
    with _timers._keeper.changed:
        dog.feed(0.01)
        dog.rest()
    assert not late.wait(0.05) and not dog.late


def kept():
    """That the time limits of the process are still kept."""
    due = threading.Event()
    call_later(0.01, due.set)
    assert due.wait(60)


@pytest.mark.parametrize(
    "seconds",
    [np.float32(30), np.float64(30), np.int64(30), np.array(30.0), np.array([30.0]), 1e300,
     10**30, 10**400, math.inf, -1, -1e300, -math.inf],
    ids=repr,
)  # fmt: skip
def test_any_number_is_a_time_limit(seconds):
    """np.float32 once ended the thread of all time limits: nothing timed out any more."""
    timer = call_later(seconds, lambda: None)
    kept()
    move = Move("stage (X) going to 1 um", seconds)
    dog = Watchdog(lambda: None)
    dog.feed(seconds)
    kept()
    move.end()
    dog.rest()
    timer.cancel()
    kept()


@pytest.mark.parametrize(
    "seconds",
    [math.nan, np.float32("nan"), "5", None, True, np.bool_(True), 1j, [5.0], np.array([1.0, 2.0]),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time_is_refused(seconds):
    for ask in (
        lambda: call_later(seconds, lambda: None),
        lambda: Watchdog(lambda: None).feed(seconds),
    ):
        with pytest.raises(ValueError, match="time limit = "):
            ask()
    with pytest.raises(ValueError, match=r"stage \(X\) going to 1 um: time limit = "):
        Move("stage (X) going to 1 um", seconds)
    kept()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_no_action_ends_the_time_limits(error):
    def action():
        raise error

    ran = threading.Event()
    call_later(0.0, lambda: (ran.set(), action()))
    assert ran.wait(60)
    kept()


def test_a_thread_that_ended_is_replaced():
    keeper, due = _timers.TimeKeeper(), threading.Event()  # not that of the process: others need it
    keeper._thread = threading.Thread(target=lambda: None)
    keeper._thread.start()
    keeper._thread.join()
    keeper.call_later(0.01, due.set)
    assert due.wait(60)


def test_what_is_never_due_is_not_kept():
    keeper = _timers.TimeKeeper()
    keeper.call_later(math.inf, lambda: None)
    assert not keeper._due
