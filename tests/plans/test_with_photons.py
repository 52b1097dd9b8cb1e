"""The photons of a spectrometer in plans that know nothing of them, message by message."""

from __future__ import annotations

from types import SimpleNamespace

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky import Msg
from bluesky.utils import FailedStatus
from ophyd.status import Status

from redoxscope.documents import PHOTON_STREAM, STREAM, TOTALS_STREAM
from redoxscope.plans import with_photons
from redoxscope.plans._carried import carried
from redoxscope.plans.tes._photons import ANNOUNCED


class Part(SimpleNamespace):
    parent, hints = None, {}
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def trigger(self):
        raise AssertionError("messages only")

    read = describe = stage = unstage = read_configuration = describe_configuration = trigger


@pytest.fixture
def tes():
    return Part(name="tes", photons=Part(name="photons"), totals=Part(name="totals"))


def told(plan, answers=()):
    """Command, device and stream of each message; a plan that fails is told what it was told."""
    found, answers = [], dict(answers)
    try:
        msg = next(plan)
        while True:
            found.append((msg.command, getattr(msg.obj, "name", None), msg.kwargs.get("name")))
            answer = answers.get(found[-1][:2])
            if isinstance(answer, BaseException):
                msg = plan.throw(answer)
            else:
                msg = plan.send(answer)
    except StopIteration:
        return found
    except RuntimeError as error:
        found.append(("raised", str(error), None))
        return found


def streams(messages, *commands):
    return [(c, name) for c, _, name in messages if c in commands]


def test_a_run_of_bluesky_has_the_photons_of_its_points(tes):
    messages = told(with_photons(bp.count([tes], num=2), tes))
    ours = streams(messages, "open_run", "declare_stream", "collect", "create", "close_run")
    assert ours == [
        ("open_run", None),
        ("declare_stream", PHOTON_STREAM),
        ("create", STREAM),
        ("create", STREAM),
        ("collect", PHOTON_STREAM),
        ("create", TOTALS_STREAM),
        ("close_run", None),
    ]
    for i, message in enumerate(messages):  # a replay announces no photon twice
        if message[0] in ("declare_stream", "collect"):
            assert messages[i - 1][0] == messages[i + 1][0] == "checkpoint"


def test_photons_are_announced_now_and_then(tes):
    messages = told(with_photons(bp.count([tes], num=2 * ANNOUNCED + 1), tes))
    assert streams(messages, "collect") == [("collect", PHOTON_STREAM)] * 3


def test_a_run_without_the_spectrometer_is_left_alone(tes):
    other = Part(name="other")
    plan = list(map(str, bp.count([other])))
    assert len(list(with_photons(bp.count([other]), tes))) == len(plan)


def test_a_plan_that_declares_the_photons_itself_announces_them_itself(tes):
    def plan():
        yield from bps.stage(tes)
        yield from bps.open_run()
        yield from bps.declare_stream(tes.photons, name=PHOTON_STREAM, collect=True)
        yield from bps.collect(tes.photons, name=PHOTON_STREAM)
        yield from bps.close_run()
        yield from bps.unstage(tes)

    messages = told(with_photons(plan(), tes))
    assert streams(messages, "declare_stream", "collect", "create") == [
        ("declare_stream", PHOTON_STREAM),
        ("collect", PHOTON_STREAM),
    ]


def test_a_run_that_fails_keeps_what_was_counted(tes):
    plan = with_photons(bp.count([tes]), tes)
    messages = told(plan, {("trigger", "tes"): RuntimeError("server gone")})
    assert streams(messages, "collect", "create") == [("collect", PHOTON_STREAM)]
    assert messages[-1] == ("raised", "server gone", None)


def test_what_fails_at_the_end_of_a_failed_run_hides_nothing(tes, caplog):
    answers = {
        ("trigger", "tes"): RuntimeError("server gone"),
        ("collect", "photons"): FailedStatus("no disk"),
    }
    messages = told(with_photons(bp.count([tes]), tes), answers)
    assert messages[-1] == ("raised", "server gone", None)
    assert "no more photons at the end of the run: no disk" in caplog.text


def test_the_server_has_begun_before_the_run_is_opened(tes):
    """bluesky forgets the wait that a pause broke off."""
    status = Status()
    plan = with_photons(bp.count([tes]), tes)
    waits, msg = 0, next(plan)
    while msg.command != "open_run":
        if msg.command == "wait_for":
            waits += 1
            if waits == 3:
                status.set_finished()
        msg = plan.send(status if msg.command == "stage" else None)
    assert waits == 3
    plan.close()


def test_runs_within_runs_have_their_own(tes):
    def plan():
        yield from bps.stage(tes)
        yield Msg("open_run", run="a")
        yield Msg("open_run", run="b")
        yield Msg("close_run", run="b")
        yield Msg("close_run", run="a")
        yield from bps.unstage(tes)

    found = [
        (m.command, m.run)
        for m in with_photons(plan(), tes)
        if m.command in ("declare_stream", "collect", "save")
    ]
    assert found == [
        (command, run)
        for command, run in [("declare_stream", "a"), ("declare_stream", "b")]
        + [(c, r) for r in "ba" for c in ("collect", "save")]
    ]


# -- what carries messages out


def test_the_plan_gets_the_answer_and_its_own_value_comes_back():
    def plan():
        return (yield Msg("read", None)) * 2

    def twice(msg):
        yield Msg("null")
        return (yield msg)

    def whole():
        assert (yield from carried(plan(), twice)) == 42

    told_ = told(whole(), {("read", None): 21})
    assert [command for command, *_ in told_] == ["null", "read"]


def test_what_fails_fails_within_the_plan():
    seen = []

    def plan():
        try:
            yield Msg("set", None)
        except RuntimeError as error:
            seen.append(str(error))
            yield Msg("stop", None)

    def passed(msg):
        return (yield msg)

    assert told(carried(plan(), passed), {("set", None): RuntimeError("stuck")})[-1][0] == "stop"
    assert seen == ["stuck"]


def test_a_plan_that_is_dropped_is_closed():
    closed = []

    def plan():
        try:
            yield Msg("null")
        finally:
            closed.append(True)

    def passed(msg):
        return (yield msg)

    whole = carried(plan(), passed)
    next(whole)
    whole.close()
    assert closed == [True]
