"""What a progress bar is told of a move or a point, and by whom."""

from __future__ import annotations

import queue

import pytest
from ophyd.status import Status

from redoxscope.devices._watched import Way, watchable

WAY = Way("coarse_x", "um", 10.0, 30.0, 4.0, lambda: 12.5)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_report_has_what_bluesky_asks_for():
    assert WAY.report(1.0) == {
        "name": "coarse_x",
        "current": 12.5,
        "initial": 10.0,
        "target": 30.0,
        "unit": "um",
        "precision": 3,
        "fraction": 0.25,
        "time_elapsed": 1.0,
        "time_remaining": 3.0,
    }


def test_what_takes_longer_than_declared_has_no_time_left():
    report = WAY.report(9.0)
    assert (report["fraction"], report["time_remaining"]) == (1.0, 0.0)
    assert Way("x", "um", 0.0, 0.0, 0.0).report(0.0)["fraction"] == 1.0


def test_without_a_position_time_goes_by():
    assert Way("i0", "s", 0.0, 2.0, 2.0).report(0.5)["current"] == 0.5


def test_a_watcher_is_told_until_it_is_over():
    told, clock, status = queue.Queue(), Clock(), Status()
    watchable(status, WAY, clock)
    clock.now += 2.0
    status.watch(lambda **report: told.put(report))
    assert told.get(timeout=30)["fraction"] == 0.5
    clock.now += 1.0
    while told.get(timeout=30)["time_elapsed"] != 3.0:
        pass
    status.set_finished()
    status.wait(timeout=30)


def test_a_watcher_that_fails_disturbs_nothing():
    asked, status = queue.Queue(), Status()

    def closed(**report):
        asked.put(report)
        raise ValueError("I/O operation on closed file")

    watchable(status, WAY).watch(closed)
    asked.get(timeout=30)
    status.set_finished()
    status.wait(timeout=30)
    assert status.success


def test_the_bar_of_bluesky_takes_it(capsys):
    from bluesky.utils import ProgressBarManager, TerminalProgressBar

    status = watchable(Status(), WAY)
    drawn = queue.Queue()

    class Bar(TerminalProgressBar):
        def update(self, pos, **report):
            super().update(pos, **report)
            drawn.put(self.meters[pos])

    hook = ProgressBarManager(lambda statuses: Bar(statuses, delay_draw=0))
    hook({status})
    assert "coarse_x" in drawn.get(timeout=30)
    status.set_finished()
    hook(None)


@pytest.mark.parametrize("target", [660.0, 640.0])
def test_moves_and_points_can_be_watched(stxm, target):
    seen = queue.Queue()
    moves = [stxm.energy.set(target), stxm.osa.x.set(1.0)]
    for status in moves:
        status.watch(lambda **report: seen.put(report))
    for status in moves:
        status.wait(timeout=30)
    names = {seen.get(timeout=30)["name"] for _ in range(seen.qsize())}
    assert names <= {"energy", "stxm_osa_x"} and names
    stxm.i0.dwell.put(0.01)
    point = stxm.i0.trigger()
    assert callable(point.watch)
    point.wait(timeout=30)
