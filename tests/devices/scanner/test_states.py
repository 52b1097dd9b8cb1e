"""The scanner's states, with a controller played by the test: no process, no waiting."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from bluesky.utils import NoReplayAllowed
from ophyd.status import Status

from redoxscope.devices import DeviceError
from redoxscope.devices._asked import _axis
from redoxscope.devices._watch import Held
from redoxscope.documents import LineStatus
from redoxscope.scan import Raster

from .fake_scanner import RASTER, World, error_of

OK, RETRIED, MISSED, DISTURBED = LineStatus


@pytest.fixture
def world():
    return World()


@pytest.fixture
def flying(world):
    world.fly()
    return world


# -- lines ----------------------------------------------------------------------------------


def test_an_image(flying):
    waiting = flying.scanner.trigger()
    assert not waiting.done
    flying.line(0)
    waiting.wait(timeout=30)
    assert flying.rows() == [(0, OK)] and not flying.scanner.flown
    flying.line(1)
    flying.line(2)
    assert flying.scanner.flown and not flying.scanner.finished
    assert flying.rows() == [(1, OK), (2, OK)] and flying.scanner.finished
    flying.scanner.trigger().wait(timeout=30)  # nothing more will come
    flying.scanner.complete().wait(timeout=30)


def test_another_raster_is_written_once_the_controller_has_come_to_rest(flying):
    """After the last line of a region it still flies back."""
    source = flying.scanner.source
    for line in range(3):
        flying.line(line)
    flying.scanner.complete()
    written = flying.scanner.prepare(replace(RASTER, nx=9))
    assert not written.done and source.nx.get() == RASTER.nx
    source.state.sim_put(0)
    written.wait(timeout=30)
    assert source.nx.get() == 9


@pytest.mark.parametrize("trouble", [{"missed": 1}, {"lost": True}])
def test_a_missed_line_is_flown_again_then_handed_out_as_missed(flying, trouble):
    flying.line(0)
    flying.line(1, **trouble)
    flying.told("halt", 1)
    assert flying.rows() == [(0, OK)]
    flying.line(1)
    flying.line(2, **trouble)
    flying.told("halt", 2)
    flying.line(2, **trouble)
    assert flying.rows() == [(1, RETRIED), (2, MISSED)]


def test_lines_of_an_earlier_flight_are_void(flying):
    flying.line(0, missed=1)
    flying.halts_at_once = False
    flying.told("halt", 0)
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.line(0)  # was on its way
    assert flying.rows() == []


def test_the_controller_says_another_line(flying):
    flying.line(2)
    assert "line 2 where 0 is due" in str(error_of(flying.scanner.trigger()))


def test_an_error_of_the_controller_fails_the_image(flying):
    waiting = flying.scanner.trigger()
    flying.scanner.source.message.sim_put("following error")
    flying.scanner.source.state.sim_put(2)
    assert "reports: following error" in str(error_of(waiting))


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (5, 1)])
def test_images_of_one_pixel_or_one_line(shape):
    nx, ny = shape
    world = World(raster=Raster(0.0, 0.0 if nx == 1 else 1.0, nx, 0.0, ny - 1.0, ny, 0.01))
    world.fly()
    for line in range(ny):
        world.line(line)
    page = next(world.scanner.collect_pages())["data"]
    assert page["line_status"] == [OK] * ny
    assert [len(row) for row in page["transmission"]] == [nx] * ny
    assert world.scanner.describe_collect()["i0"]["shape"] == [nx]


# -- what somebody else does ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_no_raster_is_written_after_a_pause_or_the_end(world, how):
    """It waits while the scanner flies back; by then the scanner may be somebody else's."""
    source = world.scanner.source
    source.state.sim_put(1)
    status = world.scanner.prepare(replace(RASTER, x_start=-0.5, nx=4))
    assert not status.done
    getattr(world.scanner, how)()
    source.state.sim_put(0)
    status.wait(timeout=30)
    assert (source.x_start.get(), source.nx.get()) == (-1.0, 5)


def test_what_is_sent_back_as_a_pause_comes_is_halted():
    """The pause finds nothing to halt yet: whoever sent it halts it."""
    world, orders = World(), []

    def restore():
        with pytest.raises(NoReplayAllowed):
            world.scanner.pause()
        orders.append("sent back")
        return Status()  # on its way

    halt = partial(orders.append, "halted")
    away = Held("mono", world.asked.mono, 640.0, 0.02, "eV", restore, halt)
    world.asked.held = lambda: [away]
    world.asked.mono.put(650.0)
    world.scanner.kickoff()
    assert orders[-2:] == ["sent back", "halted"]


def test_energy_is_asked_for_again_and_the_line_flown_again(flying, caplog):
    flying.asked.mono.put(700.0)
    flying.line(0)
    flying.told("halt", 0)
    assert flying.asked.sent_back == 1
    assert "mono (X:mono) is 700 eV where 640 eV was asked for (tolerance 0.02 eV)" in caplog.text
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]


def test_away_and_back_within_a_line(flying):
    flying.asked.mono.put(641.0)
    flying.asked.mono.put(640.0)
    flying.line(0)
    flying.told("halt", 0)
    assert flying.asked.sent_back == 0
    flying.line(0)
    flying.line(1)
    assert flying.rows() == [(0, RETRIED), (1, OK)]


def test_too_little_to_matter(flying):
    flying.asked.mono.put(640.01)
    flying.line(0)
    assert flying.rows() == [(0, OK)]


def test_disturbed_again_is_flagged_with_its_counts(flying):
    for _ in range(2):
        flying.asked.mono.put(700.0)
        flying.line(0)
        flying.told("halt", 0) if _ == 0 else flying.told("halt", 1)
    page = next(flying.scanner.collect_pages())["data"]
    assert page["line_status"] == [DISTURBED] and page["transmission"] == [[1000.0] * 5]
    flying.line(1)
    assert flying.rows() == [(1, OK)]


def test_what_does_not_come_back_fails_the_image(flying):
    flying.asked.reachable = False
    waiting = flying.scanner.trigger()
    flying.asked.mono.put(700.0)
    flying.line(0)
    assert "is 700 eV where 640 eV" in str(error_of(waiting))
    assert "although asked for again" in str(error_of(waiting))


@pytest.mark.parametrize("value", [0.3, float("nan")])
def test_what_the_scan_must_not_move_fails_it(flying, value):
    waiting = flying.scanner.trigger()
    flying.asked.stage.put(value)
    flying.line(0)
    assert "stage (X:stage) is" in str(error_of(waiting))
    assert "where 0 µm was asked for" in str(error_of(waiting))


def test_moved_between_prepare_and_kickoff(world):
    world.asked.mono.put(650.0)
    world.fly()
    assert world.asked.sent_back == 1
    world.scanner.stop()
    world.asked.stage.put(2.0)
    assert "stage (X:stage) is 2 µm" in str(error_of(world.scanner.kickoff()))


@pytest.mark.parametrize(
    ("name", "value"),
    [("x_start", 0.0), ("x_stop", 9.0), ("nx", 4), ("y_start", 1.0), ("y_stop", 0.5), ("ny", 7),
     ("dwell", 0.02)],
)  # fmt: skip
def test_the_raster_is_written_again(flying, name, value):
    getattr(flying.scanner.source, name).sim_put(value)
    flying.line(0)
    flying.told("halt", 0)
    assert getattr(flying.scanner.source, name).get() == getattr(flying.raster, name)
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]


@pytest.mark.parametrize(
    ("trouble", "says"), [({"off": 0.8}, "from where"), ({"nx": 4}, "4 pixels")]
)
def test_what_the_scanner_measured_is_compared(flying, trouble, says, caplog):
    flying.line(0, **trouble)
    flying.told("halt", 0)
    assert says in caplog.text
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]


def test_after_the_last_line_everything_may_move(flying):
    for line in range(3):
        flying.line(line)
    flying.asked.mono.put(641.0)
    flying.asked.stage.put(5.0)
    flying.scanner.trigger().wait(timeout=30)
    assert [status for _, status in flying.rows()] == [OK] * 3


def test_the_shutter_taken_away_ends_the_image(flying):
    waiting = flying.scanner.trigger()
    flying.shutter.mode.put(0)
    flying.line(0)
    assert "was taken out of following the scanner by somebody else" in str(error_of(waiting))


def test_a_pause_that_begins_with_the_shutter(flying):
    """The RunEngine stops the shutter before it pauses the scanner."""
    flying.shutter.told_to_follow = False
    flying.shutter.mode.put(0)
    flying.line(0)
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.told("halt")
    flying.shutter.mode.put(1)
    flying.shutter.told_to_follow = True
    flying.scanner.resume()
    flying.told("halt", 0)
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]


@pytest.mark.parametrize("first", ["shutter", "energy"])
def test_a_pause_that_stops_what_is_asked_for_again(flying, first):
    """The RunEngine stops shutter and energy, in any order, before it pauses the scanner."""
    waiting = flying.scanner.trigger()

    def stopped_on_its_way():
        if first == "shutter":
            flying.shutter.told_to_follow = False
            flying.shutter.mode.put(0)
        flying.asked.reachable = False

    flying.asked.meanwhile = stopped_on_its_way
    flying.asked.mono.put(700.0)
    flying.line(0)
    flying.told("halt", "halt")
    flying.shutter.told_to_follow = False
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.told("halt")
    assert not waiting.done
    flying.asked.meanwhile, flying.asked.reachable = lambda: None, True
    flying.shutter.mode.put(1)
    flying.shutter.told_to_follow = True
    flying.scanner.resume()
    flying.told("halt", 0)
    flying.line(0)
    waiting.wait(timeout=30)
    assert flying.rows() == [(0, RETRIED)]


def test_a_line_that_is_flown_again_does_not_open_what_a_pause_closed(flying, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.scanner._approach.PAUSE_TIMEOUT", 0.1)
    flying.halts_at_once = False
    flying.line(0, missed=1)
    flying.told("halt")
    flying.shutter.told_to_follow = False
    flying.shutter.set = lambda _: pytest.fail("it was let follow again")
    flying.halts_at_once = True
    flying.halted()
    assert "shutter was closed within the image" in str(error_of(flying.scanner.trigger()))


# -- beam -----------------------------------------------------------------------------------


@pytest.fixture
def soon(monkeypatch):
    """Dark lines are tried again at once."""
    monkeypatch.setattr("redoxscope.devices.scanner._flight.BEAM_POLL", 0.0)


@pytest.mark.parametrize(
    "i0", [0.0, 100.0, np.array([2000.0, 2000.0, 2000.0, 0.0, 0.0])], ids=["off", "weak", "half"]
)
@pytest.mark.parametrize("line", [0, 1])
def test_a_dark_line_is_flown_again_until_there_is_beam(flying, soon, i0, line, caplog):
    if line or np.size(i0) == 1 and i0 > 0:
        flying.line(0)
        line = 1
    for _ in range(4):  # more often than retries
        flying.line(line, i0=i0, trans=0.0)
        flying.told("halt", line)
    flying.line(line)
    assert flying.rows()[-1] == (line, RETRIED)
    assert f"line {line} had no beam" in caplog.text and "has beam again" in caplog.text


def test_dark_for_too_long_is_flagged_until_there_is_beam(flying, soon, caplog):
    flying.scanner.beam_patience.put(0.0)
    flying.line(0)
    flying.line(1, i0=0.0, trans=0.0)
    flying.line(2)
    assert flying.rows() == [(0, OK), (1, DISTURBED), (2, OK)]
    assert "stored as DISTURBED" in caplog.text


def test_the_ring_tells_where_there_is_no_monitor(soon):
    world = World(monitor=False)
    world.fly()
    world.line(0)
    world.ring.put(1.0)
    world.line(1, trans=700.0)
    world.told("halt", 1)
    world.ring.put(500.0)
    world.line(1)
    assert world.rows() == [(0, OK), (1, RETRIED)]


def test_an_opaque_line_is_taken_when_it_is_so_twice(soon):
    """Without a monitor, zeros are suspicious: once."""
    world = World(monitor=False)
    world.fly()
    world.line(0)
    world.line(1, trans=0.0)
    world.told("halt", 1)
    world.line(1, trans=0.0)
    world.line(2, trans=0.0)
    assert world.rows() == [(0, OK), (1, RETRIED), (2, OK)]


def test_a_shutter_that_closes_within_a_line(flying, soon, caplog):
    flying.shutter.status.put(0)
    flying.shutter.status.put(1)
    flying.line(0)
    flying.told("halt", 0)
    assert "shutter (X:status) was closed within it" in caplog.text


def test_a_pause_while_waiting_for_beam(flying, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.scanner._flight.BEAM_POLL", 3600.0)
    flying.line(0, i0=0.0, trans=0.0)
    flying.told("halt")
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.scanner.resume()
    flying.told("halt", "halt", 0)
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]


# -- a controller that does not answer ------------------------------------------------------


def test_a_line_that_hangs_is_flown_again_once(flying):
    flying.scanner.margin.put(0.0)
    flying.scanner._flight._approach.watchdog.feed(0.0)
    flying.told("halt", 0)
    flying.scanner._flight._approach.watchdog.feed(0.0)
    assert "line 0 did not end within" in str(error_of(flying.scanner.trigger()))


def test_stop_halts_only_what_this_client_had_fly():
    """Between two images of another client the scanner is idle, too."""
    world = World()
    world.scanner.stop()
    assert world.orders.empty()
    world.fly()
    world.scanner.stop()
    world.told("halt")
    world.scanner.unstage()
    world.told("halt")
    world.scanner.stop()
    assert world.orders.empty()
    world.scanner.source.state.sim_put(2)  # an error is cleared, whose ever it was
    world.scanner.stop()
    world.told("halt")


def test_silence_does_not_count_as_a_try(monkeypatch):
    world = World(raster=Raster(-1.0, 1.0, 5, 0.0, 2.0, 3, 0.01, retries=0))
    monkeypatch.setattr("redoxscope.devices.scanner._approach.ANSWER", -1.0)  # any answer was late
    world.fly()
    world.scanner._flight._approach.watchdog.feed(0.0)
    world.told("halt", 0)
    world.line(0)
    assert world.rows() == [(0, RETRIED)]


def test_a_disconnection_is_waited_for(flying, caplog):
    waiting = flying.scanner.trigger()
    lost = (flying.trans.line, flying.scanner.source.index)
    flying.disconnect(*lost)
    assert not waiting.done
    flying.connect(lost[0])
    assert flying.orders.empty()  # not all are back
    flying.connect(lost[1])
    flying.told("halt", 0)
    flying.line(0)
    assert flying.rows() == [(0, RETRIED)]
    assert "disconnected" in caplog.text


@pytest.mark.parametrize("silent", ["flyback", "shutter"])
def test_what_is_silent_as_a_line_comes_is_waited_for(flying, silent, caplog):
    """Neither how long a line may take nor where the blade is can be asked in an outage."""
    waiting = flying.scanner.trigger()
    signal = flying.scanner.source.flyback if silent == "flyback" else flying.shutter.status
    get = signal.get

    def no_answer(**_):
        raise TimeoutError("no answer")

    signal.get = no_answer
    if silent == "shutter":
        flying.shutter.status.put(0)
        flying.scanner._flight._judge.blade.begin()
    flying.line(0)
    if silent == "shutter":
        flying.told("halt", 0)
        assert "no answer" in caplog.text
        signal.get = get
        flying.line(0)
    assert not flying.scanner._flight.out.error
    waiting.wait(timeout=30)
    assert flying.rows() == [(0, RETRIED if silent == "shutter" else OK)]


def test_a_disconnection_for_too_long_fails_by_name(flying):
    flying.scanner.outage.put(0.05)
    flying.disconnect(flying.trans.line)
    assert "PV T:line is disconnected" in str(error_of(flying.scanner.trigger()))


def test_a_halt_that_a_disconnection_swallowed_is_asked_again(flying):
    """Channel Access completes it all the same."""
    flying.halts_at_once = False
    flying.line(0, missed=1)
    flying.told("halt")
    flying.disconnect(flying.scanner.source.abort)
    flying.halted()  # of an order that never arrived
    flying.halts_at_once = True
    flying.connect(flying.scanner.source.abort)
    flying.told("halt", 0)


def test_a_pause_during_an_outage_and_afterwards(flying):
    flying.disconnect(flying.trans.line)
    with pytest.raises(NoReplayAllowed):
        flying.scanner.pause()
    flying.connect(flying.trans.line)
    flying.told("halt")  # of the pause; nothing flies on by itself
    flying.scanner.resume()
    flying.told("halt", 0)


# -- statuses -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["line", "error", "stop"])
def test_statuses_are_finished_when_the_lock_is_free(flying, how):
    """Who hears of it may ask the scanner at once, from another thread."""
    free = []

    def heard(status):
        def ask():
            free.append(flying.scanner._flight.lock._lock.acquire(timeout=60))
            flying.scanner._flight.lock._lock.release()

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(60)

    waiting = flying.scanner.trigger()
    waiting.add_callback(heard)
    if how == "line":
        flying.line(0)
    elif how == "error":
        flying.scanner.source.state.sim_put(2)
    else:
        flying.scanner.stop()
    waiting.exception(timeout=60)
    assert free == [True]


def test_trigger_has_a_limit_that_a_pause_stops(flying):
    scanner = flying.scanner
    waiting = scanner.trigger()
    assert scanner._flight._patience.armed
    with pytest.raises(NoReplayAllowed):
        scanner.pause()
    assert not scanner._flight._patience.armed
    scanner.resume()
    assert scanner._flight._patience.armed
    scanner._flight._patience.feed(0.0)
    assert "did not come within" in str(error_of(waiting))


def test_trigger_without_an_image_is_an_error(world):
    with pytest.raises(DeviceError, match="no image is being flown"):
        world.scanner.trigger()


def test_stopped_while_somebody_waits(flying):
    waiting = flying.scanner.trigger()
    flying.scanner.stop()
    waiting.wait(timeout=30)
    assert "was stopped" in str(error_of(flying.scanner.trigger()))


@pytest.mark.parametrize(("sent", "goal"), [(True, -5000.0), (False, -4000.0)])
def test_a_set_point_that_somebody_else_has_just_written_is_not_ours(sent, goal):
    """Where a client sent its motor it has to go, or to stay; a jogged one may differ."""
    put = SimpleNamespace(get=lambda: -4000.0)
    motor = SimpleNamespace(
        name="z", user_setpoint=put, user_readback=None, tolerance=0.5, unit="um", stop=print
    )
    _, setpoint = _axis(motor, -5000.0, 0.5, (lambda: None) if sent else None)
    assert setpoint.target == goal
