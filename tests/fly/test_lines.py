"""What a client of the FLY contract must find out by itself; the test plays the controller."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky.utils import NoReplayAllowed
from ophyd import Signal
from ophyd.utils import LimitError

from redoxscope.devices import FlyLines, LineSource, StampedLines
from redoxscope.documents import LineStatus
from redoxscope.scan import Raster

from ..devices.scanner.fake_scanner import error_of
from .fake_fly import ARMED, ERROR, FLYING, IDLE, RASTER, FlyWorld

OK, RETRIED, MISSED, DISTURBED = LineStatus


@pytest.fixture
def world():
    return FlyWorld()


@pytest.fixture
def flying(world):
    world.fly()
    return world


AGAIN = ("abort", "arm", "y 0", "go")
"""A first line is given up and flown again; the slow axis was on its way already."""


def test_both_sources_are_line_sources():
    assert all(
        isinstance(source("X:", name="x"), LineSource) for source in (FlyLines, StampedLines)
    )


def test_an_image(flying):
    """Settings and ARM once; the slow axis goes on while a line is read."""
    flying.line()
    flying.told("y 1", "go")
    flying.line()
    flying.told("y 2", "go")
    flying.line()
    assert flying.orders.empty() and flying.scanner.flown
    assert flying.rows() == [(0, OK), (1, OK), (2, OK)]
    data = flying.page["data"]
    assert data["sample_x"][0] == pytest.approx(np.linspace(99, 101, 5))
    assert [y[0] for y in data["sample_y"]] == [50.0, 51.0, 52.0]
    assert data["transmission"][1] == [1000.0] * 5 and data["i0"][1] == [2000.0] * 5


def test_a_line_has_the_time_of_its_index_also_before_its_monitor_came(flying, monkeypatch):
    """What ophyd remembers then is the time of the line before."""
    index = flying.source.index
    stamped = {"value": index.get() + 1, "timestamp": 1234.5}
    monkeypatch.setattr(index, "read", lambda: {index.name: stamped})
    flying.line()
    flying.rows()
    assert flying.page["timestamps"]["line"] == [1234.5]


def test_times_are_ms_there(flying):
    assert flying.source.dwell_ms.get() == flying.trans.dwell_ms.get() == 10.0
    assert flying.trans.dwell.get() == pytest.approx(0.01)
    assert flying.trans.dwell.describe()["transmission_dwell"]["units"] == "s"


def test_lines_that_descend():
    world = FlyWorld(Raster(1.0, -1.0, 5, 2.0, 0.0, 3, 0.01))
    world.scanner.kickoff().wait(timeout=30)
    world.told("arm", "y 2", "go")
    assert (world.source.start.get(), world.source.stop_at.get()) == (1.0, -1.0)
    world.line()
    world.told("y 1", "go")
    assert world.rows() == [(0, OK)]
    assert world.page["data"]["sample_x"][0] == pytest.approx(np.linspace(101, 99, 5))


def test_a_line_that_fails_completes_its_put(flying, caplog):
    flying.over(ERROR, "daq_wait: no data from DEFAULT")
    flying.told("y 1", *AGAIN)
    assert "ERROR, daq_wait: no data from DEFAULT" in caplog.text
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


def test_a_line_that_fails_again_is_missed_and_the_next_is_armed_anew(flying):
    flying.over(ERROR, "stall")
    flying.told("y 1", *AGAIN)
    flying.over(ERROR, "stall")
    flying.told("y 1", "arm", "y 1", "go")
    assert flying.rows() == [(0, MISSED)]
    flying.line()
    assert flying.rows() == [(1, OK)]


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ({"by": 0}, "F:state is ARMED"),  # completed, and nothing flown
        ({"by": 2}, "F:index is 42 where 41 is due: somebody else has it"),
        ({"by": -40}, "F:index is 0 where 41 is due"),  # it began anew
        ({"counted": 2}, "T:index is 102 where 101 is due"),
        ({"counted": 0}, "T:index is 100 where 101 is due"),
    ],
)
def test_a_line_counts_only_when_all_indices_are_one_more(flying, trouble, says, caplog):
    flying.line(**trouble)
    flying.told("y 1", *AGAIN)
    assert says in caplog.text
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


def test_the_counts_of_somebody_elses_line(flying, caplog):
    """A counter refuses by a text only, and the group takes what it counts for its own."""
    flying.line(meddle=lambda: flying.i0.line_error.sim_put("ARM refused: a line is acquired"))
    flying.told("y 1", *AGAIN)
    assert "I:line_error: ARM refused" in caplog.text and "somebody else's line" in caplog.text


@pytest.mark.parametrize("name", ["dwell_ms", "npoints"])
def test_settings_that_somebody_changed_on_a_counter(flying, name, caplog):
    """The group would not write them again: the client does, and flies the line again."""
    signal = getattr(flying.trans, name)
    right = signal.get()
    flying.line(meddle=lambda: signal.sim_put(10 * right))
    flying.told("y 1", *AGAIN)
    assert f"T:{name}) is" in caplog.text and signal.get() == right
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


@pytest.mark.parametrize("name", ["start", "stop_at", "npoints", "dwell_ms"])
def test_settings_that_somebody_changed_on_the_group(flying, name):
    signal = getattr(flying.source, name)
    right = signal.get()
    signal.sim_put(right + 1)
    flying.line()
    flying.told("y 1", *AGAIN)
    assert signal.get() == right


@pytest.mark.parametrize(("state", "index"), [(ARMED, 42), (FLYING, 41), (IDLE, 0)])
def test_somebody_flew_between_two_lines(flying, state, index, caplog):
    """Asked right before GO: it has come and gone unseen otherwise."""
    flying.y.silent = True
    flying.line()
    flying.told("y 1")
    flying.source.index.sim_put(index)
    flying.source.state.sim_put(state)
    flying.y.silent = False
    flying.y.arrived()
    assert "somebody else has it, or it began anew" in caplog.text
    flying.source.state.sim_put(IDLE)


def test_somebody_flew_while_a_line_was_read(flying, caplog):
    """Its counts may be those of the other line."""
    index, get = flying.source.index, flying.trans.line.get

    def late(**options):
        flying.trans.line.get = get
        index.sim_put(index.get() + 1)
        return get(**options)

    flying.trans.line.get = late
    flying.line()
    flying.told("y 1", *AGAIN)
    assert "F:index is 42 where 41 was left while it was read" in caplog.text
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


def test_the_slow_axis_was_sent_away_by_somebody(flying, caplog):
    """Its readback does not follow a move under way; the set point is there at once."""
    flying.line(meddle=lambda: Signal.put(flying.y.user_setpoint, 1.5))
    flying.told("y 1", *AGAIN)
    assert "y (X:y_set) is 1.5 µm where 0 µm was asked for" in caplog.text
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


def test_lines_close_to_each_other_are_not_taken_for_each_other(caplog):
    """Half a pixel is one of that direction: lines may be nearer than pixels."""
    world = FlyWorld(Raster(-1.0, 1.0, 5, 0.0, 0.2, 3, 0.01))
    world.fly()
    world.line(meddle=lambda: world.y.user_readback.put(0.3))
    world.told("y 0.1", *AGAIN)
    assert "0.3 µm from where it was asked for (tolerance 0.25 µm)" in caplog.text


def test_zeros_for_positions(flying, caplog):
    flying.line(zeros=True)
    flying.line(zeros=True)
    flying.line(zeros=True)
    assert flying.rows() == [(0, OK), (1, OK), (2, OK)]
    assert flying.page["data"]["sample_x"][2] == pytest.approx(np.linspace(99, 101, 5))
    assert caplog.text.count("is all zeros") == 1


def test_a_short_line_is_disturbed(flying, caplog):
    flying.line(nx=4)
    flying.told("y 1", *AGAIN)
    assert "4 pixels where 5 were asked for" in caplog.text


def test_a_refused_arm_tells_all_that_is_wrong(world):
    world.refuses = "START -300 is outside; DWELL must be above 0"
    error = str(error_of(world.scanner.kickoff()))
    assert "F:arm" in error and world.refuses in error
    world.told("arm", "abort")


def test_an_abort_that_lay_there_kills_the_next_go(flying, caplog):
    flying.aborting = True
    flying.line()
    flying.told("y 1", "go", "y 2", "abort", "arm", "y 1", "go")
    assert "F:state is IDLE" in caplog.text
    flying.line()
    assert flying.rows() == [(0, OK), (1, RETRIED)]


def test_a_slow_axis_that_does_not_arrive_ends_the_image(flying):
    waiting = flying.scanner.trigger()
    flying.y.stuck = True
    flying.line()
    waiting.wait(timeout=30)
    assert flying.rows() == [(0, OK)]
    error = str(error_of(flying.scanner.trigger()))
    assert "y (X:y_is) is 1 µm from line 1 at 1 µm (tolerance 0.05 µm)" in error


def test_a_slow_axis_beyond_its_limit_ends_the_image(flying, monkeypatch):
    def refuse(value, **_):
        raise LimitError("y = 1 µm is outside its soft limits")

    monkeypatch.setattr(flying.y.user_setpoint, "put", refuse)
    flying.line()
    assert flying.rows() == [(0, OK)]
    assert "outside its soft limits" in str(error_of(flying.scanner.trigger()))


def test_a_setting_that_is_not_taken_is_named():
    world = FlyWorld()
    world.source.npoints.put = lambda value, *, callback=None, **_: callback()
    error = str(error_of(world.scanner.prepare(Raster(-1.0, 1.0, 7, 0.0, 2.0, 3, 0.01))))
    assert "F:npoints is 5 where 7 was written" in error


# -- halting ----------------------------------------------------------------------------------


def test_a_pause_aborts_and_stops_both_axes(flying):
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.told("abort", "stop y", "stop x")
    assert flying.source.state.get() == IDLE
    flying.scanner.resume()
    flying.told("abort", "arm", "y 0", "go")
    flying.line()
    assert flying.rows() == [(0, RETRIED)]


def test_no_line_begins_after_a_pause(flying):
    """The slow axis was on its way to the next line when the pause came."""
    flying.y.silent = True
    flying.line()
    flying.told("y 1")
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.told("abort", "stop y", "stop x")
    flying.y.arrived()
    assert flying.orders.empty()


def test_a_halt_is_over_when_nothing_moves(flying):
    flying.y.motor_done_move.put(0)
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.told("abort", "stop y", "stop x")
    flying.scanner.resume()
    flying.told("stop y", "abort")
    flying.y.motor_done_move.put(1)
    flying.told("arm", "y 0", "go")


def test_stop_leaves_others_alone(world):
    world.source.state.sim_put(FLYING)
    world.scanner.stop()
    assert world.orders.empty()
    world.source.state.sim_put(ARMED)
    world.scanner.stop()
    assert world.orders.empty()


def test_a_counter_that_counts_for_somebody_else_is_not_free(world):
    world.trans.line_state.sim_put(2)
    with pytest.raises(RuntimeError, match="T:line_state.* flies for somebody else"):
        world.scanner.stage()
    with pytest.raises(RuntimeError, match="counts a line"):
        world.trans.trigger()


def test_the_raster_of_the_next_image_is_armed_again(flying):
    for _ in range(3):
        flying.line()
    while not flying.orders.empty():
        flying.orders.get()
    flying.scanner.complete().wait(timeout=30)
    flying.scanner.kickoff().wait(timeout=30)
    flying.told("arm", "y 0", "go")
    assert flying.raster is RASTER
