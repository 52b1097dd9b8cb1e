"""Waiting for the ring: before a plan, in mid-line, twice, in a pause, beside other suspenders."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import pytest
from bluesky import plan_stubs as bps
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from redoxscope.documents import LineStatus
from redoxscope.plans import RingSuspender, energy_stack, rixs_map
from redoxscope.testing import FakeMicroscope, FakeMono, FakeSpectrometer, make_engine

LINES, LOW, HIGH = 4, 20.0, 300.0


def elsewhere(act, *args):
    """From another thread, as a monitor comes."""
    threading.Thread(target=act, args=args).start()


class Ring:
    """A RunEngine that waits for a ring; its current comes back once all is at rest.

    Attributes
    ----------
    waits : int
        How often it was waited for with all at rest: no beam on the sample.
    """

    def __init__(self, **options):
        self.engine, self.documents = make_engine()
        self.current = Signal(name="ring_current", value=HIGH)
        self.device = SimpleNamespace(name="ring", current=self.current)
        self.suspender = RingSuspender(self.device, below=100, **options)
        self.stxm = FakeMicroscope()
        self.waits, self.back = 0, True
        self.engine.msg_hook = self._look

    def _look(self, msg):
        if self.low and msg.command == "wait_for" and not self.stxm.shutter.beam:
            self.waits += 1
            if self.back:
                elsewhere(self.current.put, HIGH)

    @property
    def low(self):
        return not self.current.get() >= HIGH

    def install(self):
        self.engine.install_suspender(self.suspender)

    def within(self, line, act, *more):
        """Have something happen while a line is flown: lines end when the next resume asks."""
        scanner = self.stxm.scanner
        scanner.prompt = True
        real, todo = scanner.fly, {line: [act, *more]}

        def fly():
            acts = todo.get(scanner._next)
            if acts:
                elsewhere(acts.pop(0))  # and the line never ends
            else:
                real()

        def resume():
            type(scanner).resume(scanner)
            if scanner._waiter is not None and not scanner._waiter.done and not self.low:
                fly()

        scanner.fly, scanner.resume = fly, resume

    def trip(self):
        self.current.put(LOW)

    def stack(self):
        return energy_stack(self.stxm, energies=[640.0, 641.0], pixels=LINES)

    def check(self, retried=()):
        rows = list(self.documents.rows().values())
        assert [(row["energy"], row["line"]) for row in rows] == [
            (energy, line) for energy in (640.0, 641.0) for line in range(LINES)
        ]
        assert [n for n, row in enumerate(rows) if row["line_status"]] == list(retried)
        assert {row["line_status"] for row in rows} <= {LineStatus.OK, LineStatus.RETRIED}
        assert self.stxm.scanner.dark == []
        assert self.documents.stop["exit_status"] == "success"


@pytest.fixture
def ring():
    return Ring()


@pytest.mark.parametrize("value", [LOW, 0.0, math.nan])
@pytest.mark.parametrize("when", ["before it is installed", "afterwards"])
def test_a_plan_is_not_begun_without_current(ring, value, when):
    if when == "afterwards":
        ring.install()
    ring.current.put(value)
    if when != "afterwards":
        ring.install()
    begun = []

    def look(msg):
        if msg.command == "wait_for":
            assert not begun
            elsewhere(ring.current.put, HIGH)
        else:
            begun.append(msg)
            assert ring.current.get() == HIGH

    ring.engine.msg_hook = look
    ring.engine(ring.stack())
    assert begun
    ring.check()


def test_with_current_nothing_waits(ring):
    ring.install()
    ring.engine(ring.stack())
    assert not ring.waits
    ring.check()


def test_a_line_in_which_the_current_falls_is_flown_again_and_marked(ring):
    ring.install()
    ring.within(2, ring.trip)
    ring.engine(ring.stack())
    assert ring.waits == 1
    ring.check(retried=[2])
    ring.engine(ring.stack())  # the next run knows nothing of it


@pytest.mark.parametrize("when", ["before the plan", "within a line"])
def test_a_server_that_answers_no_more_takes_nothing_from_it(ring, when):
    """It is asked when the suspender is installed; on the engine's loop nobody waits for it."""
    answers = [HIGH]
    signal = SimpleNamespace(
        name="ring_current",
        get=answers.pop,
        subscribe=ring.current.subscribe,
        clear_sub=ring.current.clear_sub,
    )
    ring.suspender = RingSuspender(signal, below=100)
    ring.install()
    assert not answers
    if when == "before the plan":
        ring.trip()
    else:
        ring.within(2, ring.trip)
    ring.engine(ring.stack())
    assert ring.waits == 1
    ring.check(retried=[2] if when == "within a line" else [])


def test_twice_within_the_same_line(ring):
    ring.install()
    ring.within(2, ring.trip, ring.trip)
    ring.engine(ring.stack())
    assert ring.waits == 2
    ring.check(retried=[2])


def test_twice_in_a_run(ring):
    ring.install()
    ring.within(0, ring.trip)
    kickoffs = []

    def look(msg, look=ring._look):
        look(msg)
        if msg.command == "kickoff":
            kickoffs.append(msg)
            if len(kickoffs) == 2:
                ring.within(3, ring.trip)

    ring.engine.msg_hook = look
    ring.engine(ring.stack())
    assert ring.waits == 2
    ring.check(retried=[0, LINES + 3])


def test_a_current_that_falls_again_before_it_has_settled():
    ring = Ring(resume=200, settle=0.05)
    ring.install()
    ring.back = False
    ring.within(1, ring.trip)
    values = []

    def unsteady():
        for value in (150.0, 250.0, LOW, 250.0):  # 150 mA is not enough to go on
            ring.current.put(value)
            values.append(value)

    def look(msg, look=ring._look):
        look(msg)
        if msg.command == "wait_for" and not values:
            elsewhere(unsteady)
        elif msg.command == "collect" and values:
            assert ring.current.get() == 250.0

    ring.engine.msg_hook = look
    ring.engine(ring.stack())
    ring.check(retried=[1])


@pytest.mark.parametrize("value", [99.9, math.nan])
def test_what_counts_as_low(ring, value):
    ring.install()
    ring.current.put(value)
    assert ring.suspender.tripped
    ring.current.put(100.0)
    assert not ring.suspender.tripped


def interrupted(ring, plan):
    with pytest.raises(RunEngineInterrupted):
        ring.engine(plan)
    assert ring.engine.state == "paused"


def test_a_trip_while_paused_holds_after_the_resume(ring):
    ring.install()
    ring.within(1, ring.engine.request_pause)
    interrupted(ring, ring.stack())
    ring.trip()
    ring.engine.resume()
    assert ring.waits == 1
    ring.check(retried=[1])


def test_a_resume_does_not_get_around_it(ring):
    """Ctrl-C twice gives the prompt; who resumes then still waits for the ring."""
    ring.install()
    ring.back = False
    ring.within(1, ring.trip)
    paused = []

    def look(msg, look=ring._look):
        look(msg)
        if msg.command == "wait_for" and ring.waits and not paused:
            paused.append(msg)
            elsewhere(ring.engine.request_pause)

    ring.engine.msg_hook = look
    interrupted(ring, ring.stack())
    assert ring.current.get() == LOW
    ring.back = True
    ring.engine.resume()
    assert ring.waits >= 2 and ring.current.get() == HIGH
    ring.check(retried=[1])


def test_another_suspender_that_is_over_does_not_end_it(ring):
    ring.install()
    ring.back = False
    valve = Signal(name="valve", value=0)
    ring.engine.install_suspender(SuspendBoolHigh(valve))
    ring.within(2, ring.trip)
    seen = []

    def look(msg):
        if msg.command != "wait_for":
            return
        seen.append(msg)
        if len(seen) == 1:  # the ring is waited for
            elsewhere(valve.put, 1)
        elif len(seen) == 2:  # the valve is
            elsewhere(valve.put, 0)
        else:  # and the ring, still: once more, after all that goes on has been paused
            ring.back = True
            ring._look(msg)

    ring.engine.msg_hook = look
    ring.engine(ring.stack())
    assert ring.current.get() == HIGH
    ring.check(retried=[2])


def test_aborted_while_it_waits_and_the_next_plan_waits_too(ring):
    ring.install()
    ring.back = False
    ring.within(1, ring.trip)

    def look(msg, look=ring._look):
        look(msg)
        if msg.command == "wait_for" and ring.waits:
            elsewhere(ring.engine.abort, "no beam today")

    ring.engine.msg_hook = look
    with pytest.raises(RunEngineInterrupted):
        ring.engine(ring.stack())
    assert ring.documents.stop["exit_status"] == "abort"
    assert not ring.stxm.shutter.beam
    ring.engine.msg_hook, ring.back, waits = ring._look, True, ring.waits
    ring.stxm.scanner.__dict__.pop("fly")
    ring.documents.all.clear()
    ring.engine(ring.stack())
    assert ring.waits == waits + 1
    ring.check()


def test_removed_while_it_waits(ring):
    ring.install()
    ring.back = False
    ring.within(1, ring.trip)

    def look(msg, look=ring._look):
        look(msg)
        if msg.command == "wait_for" and ring.waits:
            elsewhere(ring.engine.clear_suspenders)

    ring.engine.msg_hook = look
    ring.engine(ring.stack())
    ring.check(retried=[1])


def test_a_point_in_which_the_current_falls_is_measured_again():
    ring, mono = Ring(), FakeMono()
    tes = FakeSpectrometer(mono, prompt=False)
    ring.stxm = tes  # its shutter is looked at
    ring.install()
    asked, trigger = [], tes.trigger

    def triggered():
        asked.append(tes._mono.position)
        status = trigger()
        if len(asked) == 2:
            elsewhere(ring.trip)
        else:
            tes.finish()
        return status

    tes.trigger = triggered
    ring.engine(rixs_map(tes, mono, energies=[700.0, 701.0, 702.0], passes=1, dwell=1.0))
    assert asked == [700.0, 701.0, 701.0, 702.0]
    assert tes.taken == [(700.0, True), (701.0, True), (702.0, True)]
    assert ring.waits == 1


def test_a_move_goes_where_it_was_sent(ring):
    ring.install()
    axis = ring.stxm.energy
    axis.prompt = False
    sent, move = [], axis.set

    def go(target):
        status = move(target)
        sent.append(target)
        if len(sent) == 1:
            elsewhere(ring.trip)
        else:
            axis.arrive()
        return status

    axis.set = go

    def plan():
        yield from bps.checkpoint()
        yield from bps.mv(axis, 700.0)

    ring.engine(plan())
    assert axis.position == 700.0 and sent == [700.0, 700.0]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"below": 0}, "below = 0 mA must be greater than 0 mA"),
        ({"below": "much"}, "below = 'much' must be one number in mA"),
        ({"below": 100, "resume": 50}, "resume = 50 mA must be at least 100 mA"),
        ({"below": 100, "settle": -1}, "settle = -1 s must be at least 0 s"),
    ],
)
def test_what_makes_no_sense_is_refused(ring, options, says):
    with pytest.raises(ValueError, match=says):
        RingSuspender(ring.device, **options)
    with pytest.raises(ValueError, match="must be a signal"):
        RingSuspender("ring", below=100)


def test_it_says_what_it_waits_for(ring, caplog):
    ring.install()
    ring.within(1, ring.trip)
    ring.engine(ring.stack())
    assert "ring_current is 20.0 mA, less than 100 mA: waiting until it is 100 mA" in caplog.text
    assert "ring_current is 300.0 mA again" in caplog.text


def test_what_is_told_while_it_is_installed_counts():
    """The current falls between the question and its answer."""

    class Falls(Signal):
        def get(self, **_):
            if not self.asked:
                self.asked = True
                self.put(LOW)
                return HIGH
            return super().get()

        asked = True

    ring = Ring()
    falls = Falls(name="ring_current", value=HIGH)
    suspender = RingSuspender(falls, below=100)
    falls.asked = False
    ring.engine.install_suspender(suspender)
    assert suspender.tripped
    ring.engine.remove_suspender(suspender)


def test_a_current_that_cannot_be_asked_for_is_not_watched():
    class Silent(Signal):
        def get(self, **_):
            raise TimeoutError("no answer")

    ring, silent = Ring(), Silent(name="ring_current", value=HIGH)
    suspender = RingSuspender(silent, below=100)
    with pytest.raises(TimeoutError, match="no answer"):
        ring.engine.install_suspender(suspender)
    silent.put(LOW)
    assert not suspender.tripped
