"""What goes wrong at a beamline: the run ends or goes on as said, and the beam is off."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import InvalidCommand

from redoxscope.devices import DeviceError
from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack
from redoxscope.sim import Simulation
from redoxscope.testing import simulated_stxm, validate_run

from .conftest import Cut, ask_for_pause, check_documents, check_stack, pages
from .test_interruption import LABELS, after


@pytest.fixture
def quick(stxm):
    """Shorter time limits, so that what hangs is found out soon; not by a busy machine."""
    margin, limit = stxm.scanner.margin.get(), stxm.shutter.time_limit.get()
    stxm.scanner.margin.put(2.0)
    stxm.shutter.time_limit.put(3.0)
    yield
    stxm.scanner.margin.put(margin)
    stxm.shutter.time_limit.put(limit)


def failed_run(RE, plan, record, match):
    """Run it; it fails with an error whose text is the stop document's reason."""
    with pytest.raises(Exception, match=match) as caught:
        RE(plan)
    assert RE.state == "idle"
    stops = [doc for name, doc in record if name == "stop"]
    assert [doc["exit_status"] for doc in stops] == ["fail"]
    assert stops[0]["reason"] == str(caught.value)
    check_documents(record)
    seq_nums = pages(record)["seq_num"]
    assert seq_nums == list(range(1, len(seq_nums) + 1))
    return caught.value


@pytest.mark.parametrize("what", ["missed_trigger", "lost_line", "lost_counts", "hang"])
@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_line_is_taken_again_once(quick, RE, stack, record, fault, safe, what, line):
    fault(f"{what} {line}")
    RE(stack(retries=5))
    status = check_stack(record)["line_status"]
    assert status[line] == LineStatus.RETRIED
    # On a busy machine another line may be late too; none is lost by it.
    assert set(status) <= {LineStatus.OK, LineStatus.RETRIED}
    safe()


@pytest.mark.parametrize("what", ["missed_trigger", "lost_line"])
@pytest.mark.parametrize("line", [0, 2])
def test_a_line_missed_twice_is_nan_and_the_run_goes_on(RE, stack, record, fault, safe, what, line):
    fault(f"{what} {line} 2")
    RE(stack())
    data = check_stack(record)
    expected = [LineStatus.OK] * 6
    expected[line] = LineStatus.MISSED
    assert data["line_status"] == expected
    assert np.isnan(data["transmission"][line]).all() and np.isnan(data["i0"][line]).all()
    assert record[-1][1]["exit_status"] == "success"
    safe()


def test_no_retries(RE, stack, record, fault):
    fault("missed_trigger 1")
    RE(stack(retries=0))
    assert check_stack(record)["line_status"] == [0, LineStatus.MISSED, 0, 0, 0, 0]


def test_every_line_missed(RE, stack, record, fault):
    fault("missed_trigger -1 100")
    RE(stack())
    fault("clear")
    assert check_stack(record)["line_status"] == [LineStatus.MISSED] * 6


def test_pause_while_a_line_is_taken_again(RE, stack, record, fault, stxm, safe):
    """The halt that a retry asks for must not start a flight into the pause."""
    from bluesky.utils import RunEngineInterrupted

    fault("missed_trigger 1")
    relaunch = stxm.scanner._flight._approach.fly_from

    def pause_first(line, *, halt, **options):
        if halt and stxm.scanner._flight.open:
            stxm.scanner._flight._approach.fly_from = relaunch
            ask_for_pause(RE)
        return relaunch(line, halt=halt, **options)

    stxm.scanner._flight._approach.fly_from = pause_first
    with pytest.raises(RunEngineInterrupted):
        RE(stack())
    stxm.scanner.source.abort.set(1).wait(timeout=30)
    assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
    assert stxm.scanner.source.state.get(use_monitor=False, timeout=60) == 0
    RE.resume()
    assert LineStatus.RETRIED in check_stack(record)["line_status"]
    safe()


def test_a_line_that_never_ends(quick, RE, stack, record, fault, safe, stxm):
    fault("hang 1 20")
    error = failed_run(RE, stack(), record, "line 1 did not end within")
    assert stxm.scanner.source.index.pvname in str(error)
    assert pages(record)["seq_num"] == [1]
    safe()
    record.clear()
    fault("clear")
    RE(stack())  # and all is well again
    check_stack(record)


def test_scanner_error(RE, stack, record, fault, safe, stxm):
    fault("scanner_error 2")
    error = failed_run(RE, stack(), record, "reports: following error")
    assert isinstance(error, DeviceError) and stxm.scanner.source.state.pvname in str(error)
    assert pages(record)["seq_num"] == [1, 2]
    safe()


@pytest.mark.parametrize("what", ["mono_stuck", "epu_stuck", "focus_stuck"])
def test_energy_not_reached(RE, stack, record, fault, safe, stxm, what):
    fault(what)
    where = {
        "mono_stuck": stxm.monochromator.readback.pvname,
        "epu_stuck": stxm.monochromator.epu_readback.pvname,
        "focus_stuck": stxm.zone_plate.z.prefix,
    }[what]
    error = failed_run(RE, stack(energies=[650.0, 651.0]), record, "from its target")
    assert isinstance(error, DeviceError) and where in str(error)
    assert not pages(record)["seq_num"]
    safe()


@pytest.fixture
def patience(stxm):
    """Time (s) for which a dark line is tried again."""
    before = stxm.scanner.beam_patience.get()
    yield stxm.scanner.beam_patience.put
    stxm.scanner.beam_patience.put(before)


def test_no_beam_at_all(patience, RE, stack, record, fault, safe, caplog):
    """From the first line on: tried again, then flagged, with the ring current to tell why."""
    patience(0.1)
    fault("beam_dump")
    RE(stack())
    data = check_stack(record, dark=True)
    assert np.all(np.array(data["transmission"]) == 0) and np.all(np.array(data["i0"]) == 0)
    assert set(data["line_status"]) == {LineStatus.DISTURBED}
    assert "line 0 had no beam" in caplog.text and "still has no beam after 0.1 s" in caplog.text
    safe()


@pytest.fixture
def when_said():
    """Do something, in another thread, when the scanner first says so in the log."""
    handlers = []

    def add(text, action):
        handler = logging.Handler()

        def emit(entry):
            if text in entry.getMessage() and not handler.done:
                handler.done = True
                threading.Timer(0.05, action).start()

        handler.done, handler.emit = False, emit
        handlers.append(handler)
        logging.getLogger("redoxscope.scanner").addHandler(handler)

    yield add
    for handler in handlers:
        logging.getLogger("redoxscope.scanner").removeHandler(handler)


@pytest.mark.parametrize("moment", ["first image", "second image", "a line"])
def test_dark_lines_are_flown_again_when_the_beam_is_back(
    RE, stack, record, fault, safe, caplog, when_said, moment
):
    """Without a suspender, and long before the ring current tells."""
    images = []

    def kickoff(msg):
        if msg.command == "kickoff":
            images.append(msg)
            if moment == ("first image", "second image")[len(images) - 1]:
                fault("beam_dump")

    def line(name, doc):
        if moment == "a line" and name == "event_page" and doc["seq_num"][0] == 1:
            fault("beam_dump")

    RE.msg_hook = kickoff
    RE.subscribe(line)
    when_said("had no beam", lambda: fault("beam_back"))
    RE(stack(pixels=(4, 40), dwell=0.5))
    data = check_stack(record, pixels=(4, 40))
    assert LineStatus.RETRIED in data["line_status"]
    assert "had no beam" in caplog.text and "has beam again" in caplog.text
    safe()


def test_a_beam_dump_with_a_suspender(RE, stack, record, fault, safe, stxm):
    """The suspender trips up to a second after the dump: no line of that time is kept."""
    from redoxscope.plans import RingSuspender

    RE.install_suspender(RingSuspender(stxm.ring, below=100.0, resume=200.0))

    def hook(name, doc):
        if name == "event_page" and doc["seq_num"][0] == 1:
            fault("beam_dump")

    def tripped(*, value, **_):
        if value < 100 and not tripped.seen:
            tripped.seen = True
            threading.Timer(0.5, fault, ("beam_back",)).start()

    tripped.seen = False
    RE.subscribe(hook)
    stxm.ring.current.subscribe(tripped, run=False)
    try:
        RE(stack(energies=[640.0], pixels=(4, 60), dwell=0.5))
    finally:
        RE.clear_suspenders()
        stxm.ring.current.clear_sub(tripped)
    data = check_stack(record, energies=[640.0], pixels=(4, 60))
    assert LineStatus.RETRIED in data["line_status"]
    assert tripped.seen
    safe()


def test_shutter_does_not_close(quick, RE, stack, record, fault, stxm, caplog):
    """The run fails, and says what to look at by hand."""
    fault("shutter_stuck")
    error = failed_run(RE, stack(), record, "not confirmed closed. CHECK IT BY HAND")
    assert stxm.shutter.status.pvname in str(error)
    assert "CHECK IT BY HAND" in caplog.text
    fault("clear")
    stxm.shutter.set("closed").wait(timeout=30)


def test_shutter_does_not_close_after_another_error(quick, RE, stack, record, fault, stxm):
    """The first error is raised, with a note about the shutter."""
    fault("shutter_stuck")
    fault("scanner_error 2")
    error = failed_run(RE, stack(), record, "following error")
    assert any("CHECK IT BY HAND" in note for note in error.__notes__)
    fault("clear")
    stxm.shutter.set("closed").wait(timeout=30)


@pytest.mark.parametrize("name", ["start", "descriptor", "event_page", "stop"])
def test_a_callback_that_raises(RE, stack, record, safe, name):
    def broken(got, doc):
        if got == name:
            raise OSError("disk full")

    RE.subscribe(broken)
    with pytest.raises(OSError, match="disk full"):
        RE(stack())
    assert len([doc for n, doc in record if n == "stop"]) == 1
    assert RE.state == "idle"
    safe()


@pytest.mark.parametrize("number", range(len(LABELS)), ids=[t.replace(" ", "-") for t in LABELS])
def test_any_message_may_fail(stxm, RE, stack, record, safe, one_by_one, number):
    """After the n-th message another one fails: one stop document, and the beam is off."""
    from bluesky import Msg

    with pytest.raises(InvalidCommand, match="no_such_command"):
        RE(after(stack(), number, Msg("no_such_command")))
    assert RE.state == "idle"
    stops = [doc for name, doc in record if name == "stop"]
    assert len(stops) == (1 if any(name == "start" for name, _ in record) else 0)
    stxm.scanner.source.abort.set(1).wait(timeout=30)
    safe()


@pytest.mark.parametrize("pixels", [1, (1, 20), (20, 1)], ids=str)
def test_one_pixel_or_one_line(RE, stack, record, safe, pixels):
    """Channel Access hands out an array of one element as a scalar."""
    RE(stack(pixels=pixels))
    shape = (pixels, pixels) if isinstance(pixels, int) else pixels
    check_stack(record, pixels=shape)
    safe()


@pytest.mark.slow
def test_a_network_cut_is_survived(caplog):
    """The server's process is held within an image, without a retry to spend."""
    with Simulation(speed=20, seed=1) as simulation:
        stxm = simulated_stxm(simulation.prefix)
        stxm.wait_for_connection(timeout=60)
        RE, record = RunEngine({}, context_managers=[]), []
        RE.subscribe(lambda name, doc: record.append((name, doc)))
        words = "the controller does not answer; waiting for it, at most 60 s"
        with Cut(simulation.pid, words) as cut:
            RE.subscribe(lambda name, doc: cut(), "event_page")
            RE(energy_stack(stxm, energies=[640.0], pixels=(5, 30), size=2, dwell=0.1, retries=0))
        check_stack(record, energies=[640.0], pixels=(5, 30), size=(2.0, 2.0))
        assert LineStatus.RETRIED in pages(record)["line_status"]
        assert words in caplog.text
        stxm.destroy()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["set", "complete"])
def test_a_network_cut_between_images_is_survived(caplog, command):
    """Before the move is asked for, and when it has begun (its time limit is 8 s)."""
    energies = [640.0, 650.0]
    with Simulation(speed=1, seed=1) as simulation:
        stxm = simulated_stxm(simulation.prefix)
        stxm.wait_for_connection(timeout=60)
        RE, record = RunEngine({}, context_managers=[]), []
        RE.subscribe(lambda name, doc: record.append((name, doc)))
        words = "it is asked for again when stxm answers"

        def hook(msg):
            hook.moves += msg.command == "set" and msg.obj is stxm.energy
            if hook.moves == 2 and msg.command == command:
                cut()

        hook.moves = 0
        RE.msg_hook = hook
        with Cut(simulation.pid, words) as cut:
            RE(energy_stack(stxm, energies=energies, pixels=(4, 3), size=2, dwell=0.005))
        check_documents(record)
        assert len(pages(record)["seq_num"]) == 6
        assert set(pages(record)["line_status"]) == {LineStatus.OK}
        assert words in caplog.text
        stxm.destroy()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["line", "move"])
def test_the_ioc_dies(place):
    """Seconds later: an error that names a PV, a clean stop document, a usable RunEngine."""
    with Simulation(speed=5, seed=1) as simulation:
        stxm = simulated_stxm(simulation.prefix)
        stxm.wait_for_connection(timeout=60)
        stxm.scanner.outage.put(2.0)
        RE, record = RunEngine({}, context_managers=[]), []
        RE.subscribe(lambda name, doc: record.append((name, doc)))
        killed = threading.Event()

        def hook(msg):
            at = ("trigger", 3) if place == "line" else ("kickoff", 1)
            hook.seen += msg.command == at[0]
            if hook.seen == at[1] and not killed.is_set():
                killed.set()
                RE.loop.call_later(0.05, simulation._process.kill)

        hook.seen = 0
        RE.msg_hook = hook
        lines = 4 if place == "line" else 1
        plan = energy_stack(stxm, energies=[630.0, 650.0], pixels=(5, lines), size=2, dwell=0.02)
        with pytest.raises(DeviceError, match=simulation.prefix):
            RE(plan)
        validate_run(record)
        assert record[-1][1]["exit_status"] == "fail"
        assert simulation.prefix in record[-1][1]["reason"]
        RE.msg_hook = None
        RE([])
        stxm.destroy()
