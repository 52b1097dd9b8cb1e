"""Parts of a dry run, without a process."""

from __future__ import annotations

import datetime
import inspect
import signal
import threading
import time
from functools import partial
from types import SimpleNamespace

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import Msg
from bluesky import preprocessors as bpp
from bluesky.suspenders import SuspendBoolHigh
from ophyd import Signal
from ophyd.status import Status

from redoxscope import calibrations, callbacks, storage
from redoxscope.analysis.dose import as_dose_limit
from redoxscope.calibrations import Calibrations, calibrate_focus
from redoxscope.callbacks import scans
from redoxscope.dry_run import Account, Run, _engine
from redoxscope.dry_run._engine import DryEngine, Rehearsal
from redoxscope.dry_run._session import DrySession
from redoxscope.dry_run._timeline import Timeline, users_time
from redoxscope.inputs import Unmeasured
from redoxscope.plans import Lookup, expose, resume
from redoxscope.plans._foretold import foretold
from redoxscope.plans.estimates import _estimate
from redoxscope.scan import Exposures, Scan, points_scan
from redoxscope.testing import FakeAxis, FakeFrames, FakeMicroscope


class Axis:
    """Is there at once, and says how long it would have taken."""

    parent, name = None, "axis"

    def __init__(self, seconds):
        self.seconds, self.asked = seconds, []

    def time_to(self, target):
        return self.seconds

    def set(self, target):
        self.asked.append(target)
        status = Status()
        status.set_finished()
        return status


class Detector(Axis):
    def point_time(self):
        return self.seconds

    def trigger(self):
        return self.set(None)


@pytest.fixture
def rehearsal():
    return Rehearsal()


@pytest.fixture
def engine(rehearsal):
    return DryEngine({}, rehearsal=rehearsal)


def test_moves_of_one_group_go_on_at_once_and_others_one_after_the_other(engine, rehearsal):
    slow, fast, third = Axis(8.0), Axis(5.0), Axis(2.0)
    engine(bps.mv(slow, 1, fast, 2))
    assert rehearsal.timeline.now == 8.0
    engine(bps.mv(third, 3))
    assert rehearsal.timeline.now == 10.0
    assert (slow.asked, fast.asked, third.asked) == ([1], [2], [3])


def test_a_move_that_went_on_meanwhile_counts_once(engine, rehearsal):
    def plan():
        yield Msg("set", Axis(8.0), 1, group="a")
        yield Msg("sleep", None, 6.0)
        yield Msg("wait", None, group="a")

    engine(plan())
    assert rehearsal.timeline.now == 8.0


def test_counting_is_live_time_of_the_run(engine, rehearsal):
    one, other = Detector(2.0), Detector(3.0)

    @bpp.run_decorator(md={"plan_name": "counting"})
    def plan():
        for _ in range(4):
            yield Msg("trigger", one, group="p")
            yield Msg("trigger", other, group="p")
            yield Msg("wait", None, group="p")

    engine(plan())
    (run,) = rehearsal.account.runs
    assert (run.plan, run.live_s, run.duration_s, run.ok) == ("counting", 12.0, 12.0, True)


def test_the_line_is_the_scripts_where_the_plan_is_a_librarys(engine, rehearsal):
    """Looked up where it waits: the frames of a thread that runs are not to be walked."""
    line = inspect.currentframe().f_lineno + 1
    engine(bpp.run_wrapper(bps.null()))
    (run,) = rehearsal.account.runs
    assert run.line == f"test_parts.py:{line}"


SCAN = points_scan(energies=[690.0, 700.0], dwell=450.0)
FORESEEN = SimpleNamespace(
    total=1000.0, live=900.0, photons=3e7, dose_gy=2e6, unknown=("of what is there",)
)


SCHEDULE = SimpleNamespace(
    live=np.array([450.0, 450.0]), flight=np.zeros(2), motion=np.array([5.0, 5.0]),
    software=np.zeros(2), begin=1.0, end=0.0, wrong=(),
)  # fmt: skip


@pytest.fixture
def mono(monkeypatch):
    monkeypatch.setattr(_engine, "without_verdict", lambda scan, *on: FORESEEN)
    axis = Axis(5.0)
    axis.offset_at = None
    return axis


def measuring(mono, measured):
    @bpp.run_decorator(md={"plan_name": "stack"})
    def plan():
        if not (yield from foretold((object(), mono), SCAN)):
            measured.append(True)
            yield Msg("set", mono, 1.0, group="g")
            yield Msg("wait", None, group="g")

    return plan()


def test_a_scan_is_foretold_and_leaves_the_devices_where_it_would_have(engine, rehearsal, mono):
    measured = []
    engine(measuring(mono, measured))
    (run,) = rehearsal.account.runs
    assert (run.duration_s, run.live_s, run.photons, run.dose_gy) == (1000.0, 900.0, 3e7, 2e6)
    assert mono.asked == [700.0]
    assert not measured
    assert rehearsal.account.notes == ["stack: of what is there"]


def test_exposures_are_counted_with_their_moves_and_what_is_not_is_said(
    engine, rehearsal, tmp_path
):
    """The axes stand then where the last exposure would have left them."""

    class Silent(FakeAxis):
        time_to = None

    x, y, energy = FakeAxis("x"), Silent("y"), FakeAxis("energy", unit="eV")
    camera = FakeFrames(tmp_path)
    scan = Scan(exposures=(Exposures(700.0, 0.5, ((0.0, 0.0), (1.0, 0.0))),))
    engine(expose(camera, scan, x, y, energy))
    (run,) = rehearsal.account.runs
    assert run.live_s == 1.0 and 1.0 <= run.duration_s < 1.1
    assert (x.position, energy.position) == (1.0, 700.0) and camera.triggered == 0
    assert rehearsal.account.notes == [
        "expose: y does not say how long its moves take: they are counted as 0 s"
    ]


def test_what_a_plan_has_checked_is_not_checked_again(engine, rehearsal, monkeypatch):
    def never(*args):
        raise AssertionError("the verdict was asked for")

    monkeypatch.setattr(_estimate, "_refused", never)
    monkeypatch.setattr(_estimate, "_check_instruments", lambda *args: None)
    monkeypatch.setattr(_estimate, "schedule", lambda scan, *on: SCHEDULE)
    monkeypatch.setattr(_engine, "put_in_place", lambda *args: None)
    engine(measuring(Axis(5.0), []))
    assert rehearsal.timeline.now == 911.0


def test_a_full_dry_run_measures_and_counts_the_scan_once(mono):
    rehearsal, measured = Rehearsal(full=True), []
    engine = DryEngine({}, rehearsal=rehearsal)
    engine(measuring(mono, measured))
    (run,) = rehearsal.account.runs
    assert (run.duration_s, run.live_s) == (1000.0, 900.0)
    assert measured == [True]
    assert mono.asked == [1.0]


def test_what_ends_a_run_stands_in_its_row(engine, rehearsal):
    @bpp.run_decorator(md={"plan_name": "breaks"})
    def plan():
        yield from bps.sleep(3)
        raise ValueError("too far")

    with pytest.raises(ValueError, match="too far"):
        engine(plan())
    (run,) = rehearsal.account.runs
    assert (run.ok, run.error, run.duration_s) == (False, "too far", 3.0)
    assert run.line.startswith("test_parts.py:")


def test_a_run_that_a_plan_leaves_open_has_an_end(engine, rehearsal):
    def plan():
        yield from bps.open_run({"plan_name": "open"})
        yield from bps.sleep(2)
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError):
        engine(plan())
    (run,) = rehearsal.account.runs
    assert (run.duration_s, run.error) == (2.0, "RuntimeError: gone")


def test_a_refusal_that_is_raised_again_has_one_row(engine, rehearsal):
    error = ValueError("no")

    def plan():
        yield from bps.null()
        rehearsal.refused(error)
        raise error

    with pytest.raises(ValueError):
        engine(plan())
    assert [run.error for run in rehearsal.account.runs] == ["no"]


def test_nobody_is_waited_for(engine, rehearsal):
    signal = Signal(name="beam", value=1)
    engine.install_suspender(SuspendBoolHigh(signal))

    def plan():
        yield from bps.pause()
        answer = yield from bps.input_plan("go on? ")
        assert answer == ""

    engine(plan())
    notes = "\n".join(rehearsal.account.notes)
    for words in ("SuspendBoolHigh is left out", "pauses until somebody", "'go on? '"):
        assert words in notes


def test_ctrl_c_ends_the_plan_and_the_script_and_pauses_nothing(engine, rehearsal):
    cleaned = []
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background

    def clean():
        cleaned.append(True)
        yield from bps.null()

    def endless():
        yield from bps.open_run()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        while True:
            yield from bps.checkpoint()

    with pytest.raises(KeyboardInterrupt):
        engine(bpp.finalize_wrapper(endless(), clean))
    assert cleaned == [True]
    assert engine.state == "idle"
    assert [run.ok for run in rehearsal.account.runs] == [False]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_device_that_says_nothing_of_its_time_is_noted(engine, rehearsal):
    axis = Axis(1.0)
    axis.time_to, axis.position = None, 0.0
    engine(bps.mv(axis, 1))
    assert rehearsal.account.notes == [
        "axis does not say how long its moves take: they are counted as 0 s"
    ]


def test_the_users_sleeps_are_counted_and_others_really_sleep():
    timeline = Timeline()
    with users_time(timeline):
        import datetime as users_dates
        import time as users

        began, clock, ticks = users.time(), users_dates.datetime.now(), users.monotonic()
        users.sleep(500.0)  # noqa: TID251
        assert timeline.now == 500.0
        assert users.time() - began == pytest.approx(500)
        assert users.monotonic() - ticks == pytest.approx(500)
        assert (users_dates.datetime.now() - clock).total_seconds() == pytest.approx(500)
        assert users_dates.datetime.now(users_dates.UTC).tzinfo is users_dates.UTC
        assert isinstance(datetime.datetime(2026, 1, 1), users_dates.datetime)
        assert type(users_dates.datetime(2026, 1, 1)) is datetime.datetime
        other = threading.Thread(target=users.sleep, args=(0.001,))  # noqa: TID251
        other.start()
        other.join()
        assert timeline.now == 500.0, "a thread of his own does not drive the clock"
    import time as after

    assert after is time
    assert users.sleep is not time.sleep  # noqa: TID251


def test_what_was_not_measured_stays_unknown_and_decisions_are_told():
    asked = []
    unknown = Unmeasured(asked.append)
    value = (unknown.result["x"].mean() - 2) / unknown
    assert f"{value:.3f}" == f"{~(value & 1) // 2 % 3:.1f}" == "(not measured)"
    assert np.isnan(np.asarray(value)).all()
    assert list(value) == []
    assert not asked
    assert not value > 1
    assert not value
    assert len(asked) == 2
    assert all("taken as: no" in text for text in asked)
    with pytest.raises(TypeError):
        range(value)


READERS = ("run", "runs", "source", "catalog", "snapshot", "found", "made", "photons", "share")
"""How functions call what they get out of a run."""
MADE_OF_NOTHING = set(
    "catalog_doubts catalog_problems find ingest keep_results recover rixs_snapshot run_documents "
    "store_run".split()
)


@pytest.mark.parametrize("package", [calibrations, callbacks, scans, storage])
def test_functions_of_runs_take_one_that_was_not_measured(package):
    told = []
    unknown = Unmeasured(told.append)
    tried = []
    for name in package.__all__:
        function = getattr(package, name)
        if not inspect.isfunction(function) or name in MADE_OF_NOTHING:
            continue
        parameters = inspect.signature(function).parameters
        given = {key: unknown for key in parameters if key in READERS and key != "runs"}
        if "runs" in parameters:
            tried.append(name)
            assert function(unknown) is unknown, name
        elif given:
            tried.append(name)
            empty = inspect.Parameter.empty
            needed = {key: "x" for key, one in parameters.items() if one.default is empty}
            of_names = {k: v for k, v in needed.items() if parameters[k].kind.name != "VAR_KEYWORD"}
            assert function(**{**of_names, **given}) is unknown, name
    assert tried
    assert not told


def test_a_calibration_that_was_not_measured_is_not_applied_and_told(tmp_path):
    told = []
    unknown = Unmeasured(told.append)
    store = Calibrations(tmp_path / "none", [])
    assert store.apply(calibrate_focus(unknown, aperture=unknown)) is unknown
    assert store.revert(unknown) is unknown
    assert set(told) == {
        "the calibration is not known; what follows is counted with what is in force"
    }
    assert not list(tmp_path.iterdir())


def test_a_dose_that_was_not_measured_counts_as_none_and_is_told():
    told = []
    before = storage.dose_so_far(Unmeasured(told.append), "electrode 7")
    assert as_dose_limit({"limit": 5e7, "before": before}).before == 0
    assert told == ["what the sample had before is not known; its limit counts from the plan on"]


@pytest.mark.parametrize("known", [False, True], ids=["of a catalog", "of the engine"])
def test_nothing_is_left_of_a_run_that_was_not_measured(known, tmp_path):
    rehearsal = Rehearsal()
    session = SimpleNamespace(_rehearsal=rehearsal, _note=rehearsal.account.note)
    uid = "0123-foretold" if known else Unmeasured(session._note)
    rehearsal.foretold.append("0123-foretold")
    documents = partial(DrySession.logged, session, tmp_path)
    engine = DryEngine(rehearsal=rehearsal)
    engine.preprocessors.append(Lookup(documents=documents))
    engine(resume(FakeMicroscope(), uid))
    assert rehearsal.account.ok
    assert not rehearsal.account.runs
    assert rehearsal.account.notes == ["nothing is left of a run that was not measured: 0 s"]


def test_the_table_says_what_would_fail():
    account = Account(
        runs=[
            Run("stxm_energy_stack", 0.0, 751.0, 602.0, 3.2e6, 1.234e6, line="night.py:3"),
            Run("rixs_map", 760.0, ok=False, error="no sample 'x'", line="night.py:9"),
        ],
        total_s=760.0,
    )
    assert not account.ok
    text = account.table()
    assert "0:12:31  stxm_energy_stack" in text
    assert "3.2e+06   1.23 MGy  ok" in text
    assert "FAILS  night.py:9" in text
    assert "no sample 'x'" in text
    assert "2 runs, 1 would fail" in text
    assert "; 1 run, none would fail" in Account(runs=account.runs[:1]).table()
    account.more_s = 256.0
    assert "total 0:12:40 and up to 0:04:16 more, of which 0:10:02 live" in account.table()


def test_a_status_that_failed_is_told_by_its_cause():
    from bluesky.utils import FailedStatus

    error = FailedStatus("status")
    error.__cause__ = RuntimeError("mono stuck")
    assert _engine._cause(error) is error.__cause__
