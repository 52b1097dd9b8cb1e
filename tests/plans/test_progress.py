"""The time left of a run: planned first, then as it really goes; a pause does not count."""

from __future__ import annotations

import io
import threading
import time
import warnings

import numpy as np
import pytest
from bluesky import Msg, RunEngine
from bluesky.utils import ProgressBarManager, RunEngineInterrupted, TerminalProgressBar
from ophyd.status import Status

from redoxscope.plans import RunProgress, RunProgressBar, with_progress
from redoxscope.plans._readable import duration
from redoxscope.plans._schedule import Schedule, schedule
from redoxscope.plans.progress._bar import MoveBar, _text
from redoxscope.scan import points_scan, stack_scan

from .timed import time_to, timed_microscope, timed_spectrometer


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Mono:
    name = "mono"
    time_to = staticmethod(time_to)


def times(*, images=3, lines=4, motion=2.0, line=1.0):
    """Images of so many lines; a move before each."""
    of_image = np.full(images, float(lines * line))
    rest = np.zeros(images)
    return Schedule(np.full(images, motion), of_image, rest, rest, np.full(images, lines), 0.1, 0.1)


def line_event(frame, line):
    return {"data": {"frame": [frame], "line": [line]}}


def run_through(progress, clock, *, pace=1.0, images=3, lines=4, motion=2.0):
    """Fractions and times left at each line, where all takes ``pace`` times as long as planned."""
    seen = [progress.report()]
    for frame in range(images):
        clock.now += pace * motion
        for line in range(lines):
            clock.now += pace
            progress("event_page", line_event(frame, line))
            seen.append(progress.report())
    return seen


def test_the_time_left_is_the_plan_where_all_goes_to_plan():
    clock = Clock()
    progress = RunProgress(times(), clock=clock)
    seen = run_through(progress, clock)
    assert [r["time_remaining"] for r in seen[:6]] == pytest.approx([18, 15, 14, 13, 12, 9])
    assert [r["time_elapsed"] for r in seen[:3]] == pytest.approx([0, 3, 4])
    assert seen[-1]["fraction"] == pytest.approx(1.0)
    assert seen[-1]["time_remaining"] == pytest.approx(0.0)


@pytest.mark.parametrize("pace", [0.05, 0.8, 1.3, 2.5])
def test_it_is_corrected_by_how_long_it_really_takes(pace):
    clock = Clock()
    progress = RunProgress(times(images=50), clock=clock)
    seen = run_through(progress, clock, pace=pace, images=50)
    half = len(seen) // 2
    true = [seen[-1]["time_elapsed"] - r["time_elapsed"] for r in seen]
    assert seen[half]["time_remaining"] == pytest.approx(true[half], rel=0.04 + 0.05 / pace)
    off = [abs(r["time_remaining"] - t) for r, t in zip(seen, true, strict=True)]
    assert off[-10] < off[10] or off[10] < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_the_fraction_never_falls(seed):
    rng, clock = np.random.default_rng(seed), Clock()
    progress = RunProgress(times(images=20), clock=clock)
    seen = []
    for frame in range(20):
        for line in range(4):
            for _ in range(3):
                clock.now += float(rng.exponential(1.0))
                seen.append(progress.report()["fraction"])
            progress("event_page", line_event(frame, line))
            seen.append(progress.report()["fraction"])
    assert seen == sorted(seen) and 0 <= seen[0] and seen[-1] == pytest.approx(1.0)


def test_between_two_lines_time_goes_on_and_then_waits():
    """A long line or move counts as it goes; what is overdue is not taken off what comes after."""
    clock = Clock()
    progress = RunProgress(times(), clock=clock)
    clock.now += 1.5
    assert progress.report()["time_remaining"] == pytest.approx(16.5)
    clock.now += 100.0
    assert progress.report()["time_remaining"] == pytest.approx(15.0)
    assert progress.report()["time_elapsed"] == pytest.approx(101.5)


def test_what_a_plan_foretells_of_its_end_is_left_and_in_the_bar(monkeypatch):
    clock, told = Clock(), [(float("nan"), "too early")]
    progress = RunProgress(times(), clock=clock)
    progress.ends_early = lambda: told[-1]
    assert progress.report()["time_remaining"] == pytest.approx(18)
    told.append((8.0, "62 % of 412 pixels"))
    assert progress.report()["time_remaining"] == pytest.approx(8)
    clock.now += 3.0
    assert progress.report()["time_remaining"] == pytest.approx(5)
    assert _text(progress.report(), progress.why).endswith("5.0 s left: 62 % of 412 pixels")
    told.append((500.0, "more than there is"))
    assert progress.report()["time_remaining"] == pytest.approx(15)
    monkeypatch.setenv("COLUMNS", "20")
    assert len(_text(progress.report(), progress.why)) == 19


def test_a_pause_does_not_count():
    clock = Clock()
    progress = RunProgress(times(), clock=clock)
    clock.now += 3.0
    progress("event_page", line_event(0, 0))
    before = progress.report()
    progress.pause()
    clock.now += 600.0
    assert progress.report() == before
    progress.pause()  # a suspender on top
    clock.now += 600.0
    progress.resume()
    assert progress.report() == before
    clock.now += 1.0
    progress("event_page", line_event(0, 1))
    after = progress.report()
    assert after["time_elapsed"] == pytest.approx(4.0)
    assert after["time_remaining"] == pytest.approx(14.0)


def test_lost_beam_is_no_pace():
    """Ten minutes without beam, lines flown again: what is left takes as long as ever."""
    clock = Clock()
    progress = RunProgress(times(images=50), clock=clock)
    run_through(progress, clock, images=20)
    clock.now += 600.0
    progress("event_page", line_event(20, 0))
    left = progress.report()["time_remaining"]
    assert left == pytest.approx(30 * 6.0 - 3.0, rel=0.1)


def test_lines_that_come_again_after_a_pause_change_nothing():
    clock = Clock()
    progress = RunProgress(times(), clock=clock)
    clock.now += 4.0
    progress("event_page", {"data": {"frame": [0, 0], "line": [0, 1]}})
    before = progress.report()
    progress("event_page", line_event(0, 0))
    assert progress.report() == before


def test_points_and_other_events():
    clock = Clock()
    scan = points_scan(energies=[640.0, 641.0], dwell=1.0, passes=2)
    progress = RunProgress(schedule(scan, timed_spectrometer(), Mono()), clock=clock)
    whole = progress.report()["time_remaining"]
    progress("event", {"data": {"tes_total_photons": 1}})
    progress("stop", {})
    progress("event", {"data": {"point": 0}})
    assert progress.report()["time_remaining"] < whole
    for point in (1, 2, 3):
        progress("event", {"data": {"point": point}})
    assert progress.report()["time_remaining"] == pytest.approx(0.0)


def test_without_declared_times_lines_are_counted():
    clock = Clock()
    unknown = times(motion=float("nan"))
    progress = RunProgress(unknown, clock=clock)
    for i in range(12):
        clock.now += 2.0
        progress("event_page", line_event(*divmod(i, 4)))
        assert progress.report()["time_remaining"] >= 0
    assert progress.report()["fraction"] == pytest.approx(1.0)


def test_an_event_that_makes_no_sense_disturbs_no_plan(caplog):
    progress = RunProgress(times())
    progress("event_page", line_event(99, 0))
    assert "not known any more" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"),
     (3600, "1 h 00 min"), (29_000, "8 h 03 min"), (float("nan"), "unknown")],
)  # fmt: skip
def test_a_time_as_one_reads_it(seconds, text):
    assert duration(seconds) == text


# -- in a RunEngine -----------------------------------------------------------------------------


class Line:
    """Something to trigger and to set; ``release`` ends its statuses."""

    parent = None
    name = "line"

    def __init__(self):
        self.statuses = []
        self.begun = threading.Event()

    def trigger(self):
        status = Status()
        self.statuses.append(status)
        self.begun.set()
        return status

    set = lambda self, value: self.trigger()  # noqa: E731


def measured(line, waits=3):
    for _ in range(waits):
        yield Msg("checkpoint")
        yield Msg("trigger", line, group="a")
        yield Msg("set", line, 1.0, group="a")
        yield Msg("wait", None, group="a")
    return "result"


REGION = {"center": [0, 0], "size": [3, 3], "pixels": [3, 3]}
SCAN = stack_scan(energies=[640.0, 641.0], regions=[REGION], dwell=0.1)


def watched(line, **options):
    return with_progress(measured(line, **options), SCAN, timed_microscope())


class Hook:
    """A waiting hook that notes what it is told, and ends what is waited for."""

    def __init__(self, inner=None, finish=True):
        self.inner, self.seen, self.finish = inner, [], finish

    def __call__(self, statuses):
        self.seen.append(statuses)
        if self.inner is not None:
            self.inner(statuses)
        for status in (statuses or ()) if self.finish else ():
            status.set_finished()


def watched_by(statuses):
    return [s.watch.__self__ for s in statuses or () if hasattr(s, "watch")]


def engine(hook):
    RE = RunEngine({}, context_managers=[], call_returns_result=True)
    RE.waiting_hook = hook
    return RE


def test_every_wait_of_a_run_tells_of_the_whole_run():
    hook = Hook()
    result = engine(hook)(watched(Line()))
    assert result.plan_result == "result"
    for statuses in hook.seen[::2]:
        runs = watched_by(statuses)
        assert len(runs) == 1 and isinstance(runs[0], RunProgress)
    assert runs[0].over.is_set()


def test_an_error_goes_through_and_ends_it():
    runs = []

    def failing(line):
        yield Msg("trigger", line, group="a")
        yield Msg("wait", None, group="a")
        raise ValueError("no")

    hook = Hook(lambda statuses: runs.extend(watched_by(statuses)))
    with pytest.raises(ValueError, match="no"):
        engine(hook)(with_progress(failing(Line()), SCAN, timed_microscope()))
    assert runs[0].over.is_set()


def test_an_error_of_a_status_reaches_the_plan():
    caught = []

    def plan(line):
        try:
            yield Msg("trigger", line, group="a")
            yield Msg("wait", None, group="a")
        except Exception as exc:
            caught.append(exc)
        yield Msg("trigger", line, group="b")
        yield Msg("wait", None, group="b")
        return "went on"

    def hook(statuses):
        for status in statuses or ():
            if not caught:
                status.set_exception(RuntimeError("lost"))
            else:
                status.set_finished()

    result = engine(hook)(with_progress(plan(Line()), SCAN, timed_microscope()))
    assert result.plan_result == "went on" and len(caught) == 1


def test_the_run_engine_pauses_and_resumes_it():
    def plan(line):
        yield from measured(line, waits=1)
        yield Msg("pause")
        yield from measured(line, waits=1)

    runs = []
    RE = engine(Hook(lambda statuses: runs.extend(watched_by(statuses))))
    with pytest.raises(RunEngineInterrupted):
        RE(with_progress(plan(Line()), SCAN, timed_microscope()))
    assert runs[0].paused and not runs[0].over.is_set()
    RE.resume()
    assert not runs[0].paused and runs[0].over.is_set()


def test_bluesky_s_own_bar_shows_the_run():
    drawn, stop = [], threading.Event()

    class Bar(TerminalProgressBar):
        def update(self, pos, **report):
            super().update(pos, **report)
            drawn.append((report["name"], self.meters[pos]))
            stop.set()

    manager = ProgressBarManager(lambda statuses: Bar(statuses, delay_draw=0))

    def inner(statuses):
        manager(statuses)
        if statuses:
            assert stop.wait(30)

    engine(Hook(inner))(watched(Line()))
    assert drawn[0][0] == "run" and "run" in drawn[0][1]


# -- our own bar --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal that says when it was written to."""

    def __init__(self, tty=True):
        super().__init__()
        self.tty, self.written = tty, threading.Event()

    def isatty(self):
        return self.tty

    def write(self, text):
        self.written.set()
        return super().write(text)


def test_one_bar_for_all_waits_of_a_run_which_leaves_the_line_clean():
    terminal = Terminal()
    bar = RunProgressBar(terminal)
    hook = Hook(bar)

    def inner(statuses):
        bar(statuses)
        if len(hook.seen) == 3:
            assert terminal.written.wait(30)

    hook.inner = inner
    before = threading.active_count()
    engine(hook)(watched(Line(), waits=50))
    text = terminal.getvalue()
    assert "left" in text and text.endswith("\r\x1b[K") and "\n" not in text
    assert len(hook.seen) == 100 and threading.active_count() <= before + 4


def test_a_pause_leaves_the_prompt_alone():
    terminal = Terminal()
    progress = RunProgress(times())
    status = Status()
    status.watch = progress.watch
    RunProgressBar(terminal)({status})
    assert terminal.written.wait(30)
    progress.pause()
    assert terminal.getvalue().endswith("\r\x1b[K")
    progress.end()
    status.set_finished()


@pytest.mark.parametrize("stream", [Terminal(tty=False), io.StringIO()])
def test_no_bar_where_there_is_no_terminal(stream):
    engine(Hook(RunProgressBar(stream)))(watched(Line()))
    assert stream.getvalue() == ""


def test_no_bar_on_a_closed_stream():
    closed = Terminal()
    closed.close()
    engine(Hook(RunProgressBar(closed)))(watched(Line()))


def test_a_terminal_that_breaks_ends_the_bar_only(caplog):
    class Broken(Terminal):
        def write(self, text):
            self.written.set()
            raise OSError("Input/output error")

    terminal = Broken()
    hook = Hook()

    def inner(statuses):
        bar(statuses)
        if len(hook.seen) == 3:
            assert terminal.written.wait(30)

    bar, hook.inner = RunProgressBar(terminal), inner
    assert engine(hook)(watched(Line())).plan_result == "result"
    for _ in range(100):
        if "no progress bar any more" in caplog.text:
            break
        threading.Event().wait(0.05)
    assert "no progress bar any more" in caplog.text


def test_moves_outside_of_runs_have_bluesky_s_bar(monkeypatch):
    monkeypatch.setattr("sys.stdout", Terminal())
    made = []
    bar = RunProgressBar()
    bar.pbar_factory = lambda statuses: made.append(statuses) or TerminalProgressBar(statuses)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine(Hook(bar))(measured(Line()))
    assert len(made) == 3 and bar.pbar is None


def test_a_move_is_shown_by_its_time(monkeypatch):
    """The monochromator's readback may stay where it was until it arrives."""
    monkeypatch.setattr("sys.stdout", Terminal())
    status = Status()
    status.watch = lambda function: None
    bar = MoveBar([status], delay_draw=0)
    still = {"name": "energy", "current": 640.0, "initial": 640.0, "target": 660.0, "unit": "eV"}
    bar.update(0, **still, fraction=0.25, time_elapsed=0.5, time_remaining=1.5)
    assert "energy:  25%" in bar.meters[0]
    bar.update(0, **still)
    assert "energy:   0%" in bar.meters[0]
    status.set_finished()


def test_the_bar_fits_its_terminal(monkeypatch):
    report = RunProgress(times(images=500)).report()
    for columns in (20, 40, 80, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert len(_text(report)) < columns
    assert _text(report).startswith("run   0% [") and _text(report).endswith("50 min 00 s left")


def test_nothing_is_drawn_after_the_end():
    terminal = Terminal()
    progress = RunProgress(times())
    status = Status()
    status.watch = progress.watch
    RunProgressBar(terminal)({status})
    assert terminal.written.wait(30)
    progress.end()
    ended = terminal.getvalue()
    deadline = time.monotonic() + 0.7
    while time.monotonic() < deadline:
        assert terminal.getvalue() == ended
        threading.Event().wait(0.1)
    status.set_finished()
