"""A session's RunEngine: ended from whatever state, in whatever thread, and put away."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from redoxscope.session._engine import close_engine, end_run, make_engine, pause_for


@pytest.fixture
def engine():
    made = make_engine({})
    yield made
    close_engine(made)


def test_it_says_nothing_of_bluesky_s_traces(engine, caplog):
    engine.log.warning("No open traces left to close!")
    engine.log.warning("something else")
    assert [record.message for record in caplog.records] == ["something else"]


def test_what_other_engines_say_is_heard_and_nothing_is_left_behind(engine, RE, caplog):
    before = len(engine.log.logger.filters)
    second = make_engine({})
    for each in (engine, second, RE):
        each.log.error("Run aborted")
    assert [record.RE for record in caplog.records] == [RE]
    close_engine(second)
    assert len(engine.log.logger.filters) == before


class Plan:
    """A plan that goes on for ever, with a clean-up."""

    def __init__(self):
        self.begun, self.cleaned = threading.Event(), threading.Event()

    def __call__(self, *, pause=False):
        def forever():
            yield from bps.checkpoint()
            self.begun.set()
            if pause:
                yield from bps.pause()
            while True:
                yield from bps.sleep(0.01)

        def clean():
            yield from bps.sleep(0.1)
            self.cleaned.set()

        return bpp.finalize_wrapper(forever(), clean)


def in_thread(engine, plan):
    def run():
        with pytest.raises(RunEngineInterrupted):
            engine(plan)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("pause", [False, True])
def test_ended_in_another_thread_and_waited_for(engine, pause):
    plan = Plan()
    thread = in_thread(engine, plan(pause=pause))
    assert plan.begun.wait(30)
    if pause:
        thread.join()
        assert engine.state == "paused"
    assert end_run(engine, "session closed")
    assert plan.cleaned.is_set() and engine.state == "idle"
    thread.join()


def test_nothing_to_end(engine):
    assert end_run(engine, "session closed")


def test_a_cleanup_that_hangs_is_not_waited_for_for_ever(engine):
    inside, begun, release = threading.Event(), threading.Event(), threading.Event()

    async def hang():
        begun.set()
        while not release.is_set():
            await asyncio.sleep(0.01)

    def forever():
        inside.set()  # one that is ended before has no clean-up
        yield from bps.sleep(3600)

    thread = in_thread(engine, bpp.finalize_wrapper(forever(), lambda: bps.wait_for([hang])))
    assert inside.wait(60)
    assert not end_run(engine, "session closed", timeout=0.5)
    assert begun.wait(30)
    release.set()
    thread.join()


def test_an_error_is_told_once(engine, caplog):
    def fails():
        yield from bps.null()
        raise ValueError("told by the exception")

    with pytest.raises(ValueError, match="told by the exception"):
        engine(fails())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_put_away():
    made = make_engine({})
    made([])
    names = [t.name for t in threading.enumerate()]
    close_engine(made)
    assert [t.name for t in threading.enumerate()].count("bluesky-run-engine") == (
        names.count("bluesky-run-engine") - 1
    )
    close_engine(made)


@pytest.mark.parametrize("over, paused", [((True,), 0), ((False, True), 0), ((False, False), 1)])
def test_a_pause_for_a_run_that_has_ended_is_none_of_the_next(over, paused):
    """Damage may be found while the run ends, and the next begins before the pause is asked for."""
    said = iter(over)
    engine = SimpleNamespace(state="running", asked=0, request_pause=None)

    def request_pause(*, defer):
        engine.asked += defer

    engine.request_pause = request_pause
    pause_for(engine, "sPFY falls", over=lambda: next(said))
    for thread in threading.enumerate():
        if thread.name == "damage-pause":
            thread.join(60)
    assert engine.asked == paused
    assert list(said) == []


class Late(Signal):
    """Signal whose monitor is still at it when the run has been closed."""

    def subscribe(self, callback, event_type=None, run=True):
        self.emit = callback
        return super().subscribe(callback, event_type=event_type, run=run)


def test_no_event_of_a_monitor_comes_after_the_stop(engine):
    seen = []
    engine.subscribe(lambda name, doc: seen.append(name))
    signal = Late(name="heater", value=20.0)

    def plan():
        yield from bps.open_run()
        yield from bps.monitor(signal, name="heater_monitor")
        yield from bps.checkpoint()
        signal.emit()
        yield from bps.close_run()

    for _ in range(2):  # the next run is not the poorer for it
        seen.clear()
        engine(plan())
        assert seen.count("event") >= 1 and seen[-1] == "stop"
        thread = threading.Thread(target=signal.emit)
        thread.start()
        thread.join(timeout=60)
        assert not thread.is_alive() and seen[-1] == "stop"
