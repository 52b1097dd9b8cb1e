"""``energy_stack``, unchanged, on a controller that flies one line at a time."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted
from ophyd import EpicsSignal, EpicsSignalRO

from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack

from ..plans.conftest import ask_for_pause
from ..shutters import closed

NX, NY = 6, 4
ENERGIES = [639.0, 640.0]


@pytest.fixture
def RE():  # noqa: N802
    engine = RunEngine({}, context_managers=[])
    return engine


@pytest.fixture
def rows(RE):
    """Rows of the lines as they come: the data of each event."""
    found = []

    def take(name, doc):
        if name == "event_page":
            found.extend(
                dict(zip(doc["data"], row, strict=True))
                for row in zip(*doc["data"].values(), strict=True)
            )

    RE.subscribe(take)
    return found


def stack(stxm, **options):
    return energy_stack(
        stxm, energies=ENERGIES, pixels=(NX, NY), size=(3.0, 2.0), dwell=0.05, **options
    )


def checked(rows, statuses=None):
    assert [row["line"] for row in rows] == [*range(NY)] * len(ENERGIES)
    got = [row["line_status"] for row in rows]
    assert got == (statuses or [0] * len(rows)), got
    for row in rows:
        if row["line_status"] < LineStatus.MISSED:
            for key in ("transmission", "i0"):
                assert len(row[key]) == NX and np.all(np.array(row[key]) > 0)


def test_a_stack(RE, rows, fly_stxm, fly_fault):
    RE(stack(fly_stxm))
    checked(rows)
    x = np.array([row["sample_x"] for row in rows])
    assert np.allclose(x[0], np.linspace(-1.25, 1.25, NX), atol=0.05)
    y = np.array([row["sample_y"] for row in rows])[:NY]
    assert np.allclose(y[:, 0], np.linspace(-0.75, 0.75, NY), atol=0.06)
    assert [row["energy"] for row in rows][::NY] == pytest.approx(ENERGIES, abs=0.03)
    closed(fly_stxm.shutter)


def test_a_move_of_the_energy_is_declared_as_long_as_the_simulated_one_takes(fly_stxm, fleet):
    """The record tells nobody that it settles: the file does."""
    pvs = [EpicsSignalRO(f"{fleet.prefix}Mono:{pv}", name=pv) for pv in ("Velocity", "Settle")]
    try:
        velocity, settle = (pv.get(timeout=60, connection_timeout=60) for pv in pvs)
    finally:
        for pv in pvs:
            pv.destroy()
    takes = 1 / velocity + settle
    assert fly_stxm.energy.time_to(641.0, 640.0) == pytest.approx(takes)


OK, RETRIED, MISSED = LineStatus.OK, LineStatus.RETRIED, LineStatus.MISSED


@pytest.mark.parametrize(
    ("fault", "line", "says"),
    [
        ("line_fails 1 2", 2, "is ERROR, move failed: the controller reports a following error"),
        ("stale_dwell 1 2", 2, "DEFAULT:DWELL) is 500 where 50 was asked for"),
        ("foreign_line 1 2", 2, "the counts of somebody else's line"),
        ("restart 1 2", 2, "is ERROR, GO rejected: state is IDLE"),
        ("no_data 1 2", 1, "no data within"),
    ],
)
def test_a_line_that_went_wrong_is_flown_again(
    RE, rows, fly_stxm, fly_fault, caplog, fault, line, says
):
    fly_fault(fault)
    RE(stack(fly_stxm))
    checked(rows, [RETRIED if i == line else OK for i in range(len(rows))])
    assert says in caplog.text
    expected = np.median([np.sum(row["i0"]) for row in rows])
    assert all(0.8 < np.sum(row["i0"]) / expected < 1.25 for row in rows)


def test_a_line_that_fails_each_time_is_handed_out_as_missed_and_the_next_is_flown(
    RE, rows, fly_stxm, fly_fault
):
    fly_fault("line_fails 2 1")
    RE(stack(fly_stxm))
    checked(rows, [MISSED if i == 1 else OK for i in range(len(rows))])
    assert np.isnan(rows[1]["transmission"]).all()


def test_zeros_for_positions_are_replaced_and_said_once(RE, rows, fly_stxm, fly_fault, caplog):
    fly_stxm.scanner.source._reader._told_zeros = False
    fly_fault("zero_positions 100")
    RE(stack(fly_stxm))
    checked(rows)
    assert np.allclose(rows[0]["sample_x"], np.linspace(-1.25, 1.25, NX), atol=0.05)
    assert caplog.text.count("is all zeros") == 1


def test_a_refused_arm_ends_the_stack_with_all_that_is_wrong(RE, rows, fly_stxm, fly_fault):
    fly_fault("arm_refused 1")
    with pytest.raises(Exception, match="ARM.* is refused: ERROR, .*not ready"):
        RE(stack(fly_stxm))
    assert rows == []
    closed(fly_stxm.shutter)


def test_a_line_that_never_ends_is_given_up_and_flown_again(RE, rows, fly_stxm, fly_fault):
    source = fly_stxm.scanner.source
    margin, deadline = fly_stxm.scanner.margin.get(), source.deadline.get()
    fly_stxm.scanner.margin.put(0.1), source.deadline.put(0.4)
    try:
        fly_fault("silent 1 2")
        RE(stack(fly_stxm, retries=2))
    finally:
        fly_stxm.scanner.margin.put(margin), source.deadline.put(deadline)
    statuses = [row["line_status"] for row in rows]
    assert statuses[2] == RETRIED and set(statuses) <= {OK, RETRIED}


def test_a_pause_gives_the_line_up_and_it_is_flown_again(RE, rows, fly_stxm, fly_fault):
    source = fly_stxm.scanner.source

    def pause(*, value, **_):
        if int(value) == 2:
            ask_for_pause(RE)

    token = source.state.subscribe(pause, run=False)
    with pytest.raises(RunEngineInterrupted):
        RE(stack(fly_stxm))
    source.state.unsubscribe(token)
    source.halt([], 20).wait(timeout=30)
    assert int(source.state.get(use_monitor=False, timeout=60)) != 2
    closed(fly_stxm.shutter)
    RE.resume()
    checked(rows, [row["line_status"] and RETRIED for row in rows])  # some, where it was busy


@pytest.mark.parametrize("how", ["abort", "stop"])
def test_whatever_ends_it_leaves_it_at_rest(RE, rows, fly_stxm, fly_fault, how):
    source = fly_stxm.scanner.source
    fly_fault("silent 1 2")  # the third line runs until it is aborted
    third = threading.Event()
    subscribed = RE.subscribe(
        lambda name, doc: third.set() if doc["seq_num"][-1] >= 2 else None, "event_page"
    )

    def end():
        third.wait(30)
        RE.request_pause()

    threading.Thread(target=end).start()
    with pytest.raises(RunEngineInterrupted):
        RE(stack(fly_stxm))
    getattr(RE, how)()
    RE.unsubscribe(subscribed)
    source.until_idle(20) and source.until_idle(20).wait(timeout=30)
    assert int(source.state.get(use_monitor=False, timeout=60)) != 2
    closed(fly_stxm.shutter)
    assert [row["line"] for row in rows] == [0, 1]


def test_two_clients(RE, fly_stxm, fly_fault, fleet):
    """A counter that counts somebody else's line is not free."""
    daq = f"{fleet.prefix}STXMSIM:I0:"
    points, arm, stop = (
        EpicsSignal(daq + name, name="other", put_complete=True)
        for name in ("LINE:NPOINTS", "LINE:ARM", "LINE:ABORT")
    )
    for signal in (points, arm, stop):
        signal.wait_for_connection(timeout=60)
    try:
        points.put(16384, wait=True, timeout=30)
        arm.put(1, wait=True, timeout=30)
        with pytest.raises(Exception, match="I0:LINE:STATUS.* flies for somebody else"):
            RE(stack(fly_stxm))
    finally:
        stop.put(1, wait=True, timeout=30)
        for signal in (points, arm, stop):
            signal.destroy()
