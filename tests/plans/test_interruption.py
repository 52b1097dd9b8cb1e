"""Pause, resume, abort, stop, halt, suspenders and Ctrl-C, at any place in a stack."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys
import textwrap
import threading

import pytest
from bluesky import Msg
from bluesky.run_engine import TransitionError
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from ..shutters import closed
from .conftest import PIXELS, ask_for_pause, check_stack, pages
from .fake_microscope import labels

LABELS = labels(PIXELS[1])
"""Every message of the small stack's plan when its lines come one by one."""

ENDLESS = {"pixels": (4, 200), "dwell": 5.0}
"""Minutes: it is ended in its first line, or as soon as a busy machine gets to it."""


def moments(*, first="checkpoint", last="close_run", step=1):
    """Numbers of messages, from the first to the last of these (left out), as parameters."""
    commands = [label.split()[1] for label in LABELS]
    numbers = range(commands.index(first), commands.index(last), step)
    return [pytest.param(n, id=LABELS[n].replace(" ", "-")) for n in numbers]


def number_of(label, n=0):
    """Number of the n-th message like "collect scanner"."""
    return [i for i, text in enumerate(LABELS) if text.split(" ", 1)[1] == label][n]


def after(plan, number, *inserted):
    """The plan, with messages inserted after its message of that number."""
    count, act = 0, lambda: next(plan)
    while True:
        try:
            msg = act()
        except StopIteration as end:
            return end.value
        try:
            answer = yield msg
            if count == number:
                for extra in inserted:  # noqa: UP028  a tuple takes no answers
                    yield extra
            act = functools.partial(plan.send, answer)
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as exc:
            act = functools.partial(plan.throw, exc)
        count += 1


class Interrupt:
    """Message hook: ``action``, ``delay`` s after the message was seen ``n`` times.

    ``later`` calls it: the engine's loop, so that no thread comes too late, or a thread's timer.
    """

    def __init__(self, later, command, name, n, action, delay=0.0):
        self.command, self.name, self.left = command, name, n
        self.later, self.action, self.delay = later, action, delay

    def __call__(self, msg):
        if msg.command == self.command and getattr(msg.obj, "name", None) == self.name:
            self.left -= 1
            if self.left == -1:
                self.later(self.delay, self.action)


def in_thread(delay, action):
    """For what must not be called in the engine's own thread."""
    threading.Timer(delay, action).start()


def pause_at(RE, command, name, n=0, delay=0.0):
    """Pause when a message was seen."""
    RE.msg_hook = Interrupt(RE.loop.call_later, command, name, n, lambda: ask_for_pause(RE), delay)


def run(RE, plan):
    """Run; True when it was interrupted."""
    try:
        RE(plan)
    except RunEngineInterrupted:
        return True
    return False


def settled(stxm):
    """Every put has been worked off: the abort's is the last, and completes when idle."""
    stxm.scanner.source.abort.set(1).wait(timeout=30)


def test_the_messages_are_those_of_the_fakes(stxm, RE, stack, one_by_one):
    """Else the moments below would be others than they say."""
    sent = []
    RE.msg_hook = lambda msg: sent.append(msg.command)
    RE(stack())
    assert sent == [label.split()[1] for label in LABELS]


@pytest.mark.parametrize("number", moments())
def test_pause_after_any_message(stxm, RE, stack, record, safe, one_by_one, number):
    """From the plan's first checkpoint on."""
    assert run(RE, after(stack(), number, Msg("pause")))
    settled(stxm)
    assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
    assert stxm.scanner.source.state.get(use_monitor=False, timeout=60) == 0
    RE.resume()
    check_stack(record)
    assert record[-1][1]["exit_status"] == "success"
    safe()


@pytest.mark.parametrize("delay", [0.0005, 0.001, 0.002, 0.004, 0.008])
def test_pause_within_a_line(RE, stack, record, safe, delay):
    """A line takes 2 s / 50 here, and there are five more to come."""
    pause_at(RE, "trigger", "stxm_scanner", delay=delay)
    assert run(RE, stack(dwell=0.5))
    RE.resume()
    check_stack(record)
    safe()


def test_deferred_pause(RE, stack, record, safe, one_by_one):
    number = number_of("collect scanner")
    assert run(RE, after(stack(), number, Msg("pause", defer=True)))
    assert len(pages(record)["seq_num"]) >= 1
    RE.resume()
    check_stack(record)
    safe()


def test_pause_twice_at_one_line(RE, stack, record, safe):
    pause_at(RE, "trigger", "stxm_scanner")
    assert run(RE, stack(dwell=2.0))
    pause_at(RE, "trigger", "stxm_scanner")
    with pytest.raises(RunEngineInterrupted):
        RE.resume()
    RE.resume()
    check_stack(record)
    safe()


@pytest.mark.parametrize("number", moments(step=5))
@pytest.mark.parametrize(
    ("how", "status"), [("abort", "abort"), ("stop", "success"), ("halt", "abort")]
)
def test_end_while_paused(stxm, RE, stack, record, safe, one_by_one, number, how, status):
    assert run(RE, after(stack(), number, Msg("pause")))
    getattr(RE, how)()
    assert RE.state == "idle"
    stops = [doc for name, doc in record if name == "stop"]
    assert [doc["exit_status"] for doc in stops] == [status]
    assert pages(record)["seq_num"] == list(range(1, len(pages(record)["seq_num"]) + 1))
    settled(stxm)
    safe()


@pytest.mark.parametrize(
    ("how", "status"), [("abort", "abort"), ("stop", "success"), ("halt", "abort")]
)
def test_end_while_flying(stxm, RE, stack, record, safe, how, status):
    """At the first line: how often a stack waits for lines depends on how busy the machine is."""
    RE.msg_hook = Interrupt(in_thread, "trigger", "stxm_scanner", 0, getattr(RE, how), 0.001)
    run(RE, stack(**ENDLESS))  # a stop does not count as an interruption
    stops = [doc for name, doc in record if name == "stop"]
    assert [doc["exit_status"] for doc in stops] == [status]
    assert len(pages(record)["seq_num"]) < 400
    settled(stxm)
    safe()


def test_reason_of_an_abort_is_in_the_stop_document(RE, stack, record):
    assert run(RE, after(stack(), number_of("kickoff scanner"), Msg("pause")))
    RE.abort("wrong sample")
    assert record[-1][1]["exit_status"] == "abort"
    assert record[-1][1]["reason"] == "wrong sample"
    assert not RE.suspenders


def test_reason_of_an_abort_while_flying(RE, stack, record):
    RE.msg_hook = Interrupt(
        in_thread, "trigger", "stxm_scanner", 0, lambda: RE.abort("wrong sample")
    )
    assert run(RE, stack(**ENDLESS))
    assert record[-1][1]["reason"] == "wrong sample"


def test_lines_finished_before_an_abort_are_kept(RE, stack, record, one_by_one):
    assert run(RE, after(stack(), number_of("collect scanner"), Msg("pause")))
    RE.abort()
    assert len(pages(record)["seq_num"]) >= 1
    assert record[-1][1]["exit_status"] == "abort"


def test_suspender(stxm, RE, stack, record, safe):
    suspender = SuspendBoolHigh(Signal(name="beam_lost", value=0))
    RE.install_suspender(suspender)
    open_while_suspended, waiting = [], []

    def back():
        closed(stxm.shutter)
        open_while_suspended.append(stxm.shutter.status.get(use_monitor=False, timeout=60))
        suspender(0)

    # Told in the engine's own thread: from another, bluesky waits 0.1 s for the engine, no longer.
    trip = Interrupt(RE.loop.call_later, "kickoff", "stxm_scanner", 1, lambda: suspender(1), 0.01)

    def hook(msg):
        trip(msg)
        if msg.command == "wait_for" and suspender.tripped and not waiting:
            waiting.append(threading.Thread(target=back))
            waiting[-1].start()

    RE.msg_hook = hook
    try:
        RE(stack(dwell=0.5))
    finally:
        RE.clear_suspenders()
    waiting[0].join()
    assert open_while_suspended == [0]
    check_stack(record)
    safe()


@pytest.mark.parametrize("seed", range(10))
def test_pauses_at_random_times(RE, stack, record, safe, seed):
    """From another thread, twice a run, whatever the plan is doing."""
    rng = random.Random(seed)

    def pause(defer):
        try:
            RE.request_pause(defer)
        except TransitionError:
            pass  # it was over, or paused already

    for _ in range(2):
        record.clear()
        timers = [
            threading.Timer(rng.uniform(0.02, 0.25), pause, (rng.random() < 0.2,)) for _ in range(2)
        ]
        for timer in timers:
            timer.start()
        run(RE, stack())
        for timer in timers:
            timer.join()
        while RE.state == "paused":
            try:
                RE.resume()
            except RunEngineInterrupted:
                pass
        stops = [doc for name, doc in record if name == "stop"]
        assert len(stops) == 1
        if stops[0]["exit_status"] == "success":  # else it was before the first checkpoint
            check_stack(record)
        safe()


SCRIPT = """
    import json, os, signal, sys, threading
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted
    from redoxscope.testing import simulated_stxm
    from redoxscope.plans import energy_stack
    from redoxscope.testing import validate_run
    from redoxscope.sim import Simulation

    hits = int(sys.argv[1])
    with Simulation(speed=50) as sim:
        stxm = simulated_stxm(sim.prefix)
        stxm.wait_for_connection(timeout=60)
        RE, docs, seen = RunEngine({}), [], 0
        def hook(msg):
            global seen
            if msg.command == "trigger":
                seen += 1
                if seen == 3:
                    for _ in range(hits):
                        os.kill(os.getpid(), signal.SIGINT)
        RE.msg_hook = hook
        RE.subscribe(lambda name, doc: docs.append((name, doc)))
        plan = energy_stack(stxm, energies=[639.0, 640.0], pixels=(4, 6), size=2.0, dwell=0.1)
        try:
            RE(plan)
            state = "not interrupted"
        except RunEngineInterrupted:
            state = RE.state
        stxm.scanner.source.abort.set(1).wait(timeout=30)
        shutter = stxm.shutter.status.get(use_monitor=False, timeout=60)
        RE.resume()
        validate_run(docs)
        lines = [n for name, d in docs if name == "event_page" for n in d["seq_num"]]
        print(json.dumps({
            "state": state, "shutter": shutter, "lines": lines,
            "exit_status": docs[-1][1]["exit_status"],
            "closed": stxm.shutter.status.get(use_monitor=False, timeout=60), "output": sim.output,
        }))
"""


@pytest.mark.slow
@pytest.mark.parametrize("hits", [1, 2])
def test_ctrl_c(hits):
    """Once: at the next line. Twice: now. The beamline's process is not hit by it."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(hits)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {
        "state": "paused", "shutter": 0, "lines": list(range(1, 13)),
        "exit_status": "success", "closed": 0, "output": "",
    }  # fmt: skip
