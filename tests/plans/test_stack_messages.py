"""The stack plan message by message, with a microscope that does nothing."""

from __future__ import annotations

import pytest
from ophyd.utils import LimitError

from .fake_microscope import fake_microscope, labels, stack_plan, told

COLLECT, CHECKPOINT, WAIT = ("collect", "scanner"), ("checkpoint", None), ("wait", None)
LINE = [("trigger", "scanner"), WAIT]
KICKOFF = [("kickoff", "scanner"), WAIT]
SAFE = [("stop", "scanner"), ("set", "shutter", "closed"), WAIT]


def go_to(energy):
    return [CHECKPOINT, ("set", "energy", energy), WAIT]


def end(following=None):
    """The last lines are collected while the energy moves already."""
    move = [] if following is None else [("set", "energy", following)]
    return [*LINE, *move, COLLECT, CHECKPOINT, ("complete", "scanner"), CHECKPOINT, WAIT]


def images(messages):
    """From the first energy on, to where the progress ends and the plan makes safe."""
    found = messages[messages.index(("set", "energy", 639.0)) - 1 : messages.index(SAFE[0])]
    return [message for message in found if message[0] != "unsubscribe"]


def test_an_image_is_kickoff_lines_complete():
    stxm = fake_microscope()
    image = [*KICKOFF, *(2 * [*LINE, COLLECT, CHECKPOINT])]
    assert images(told(stack_plan(stxm))) == [
        *go_to(639.0), *image, *end(640.0), *image, *end(),
    ]  # fmt: skip


def test_a_move_that_a_pause_stopped_is_asked_for_again():
    stxm = fake_microscope(lines=1)
    stxm.energy.arrived = False
    assert images(told(stack_plan(stxm, lines=1))) == [
        *go_to(639.0), *KICKOFF, *end(640.0), *go_to(640.0), *KICKOFF, *end(),
    ]  # fmt: skip


def interrupted(plan, where, error):
    """Messages of a plan, to which an error comes when ``where(number, message)`` first says so."""
    messages, thrown = [next(plan)], False
    while True:
        try:
            if not thrown and where(len(messages), told(messages)[-1]):
                thrown = True
                messages.append(plan.throw(error))
            else:
                messages.append(next(plan))
        except StopIteration:
            return told(messages)


FIRST, SECOND = ("set", "energy", 639.0), ("set", "energy", 640.0)


@pytest.mark.parametrize("message", [FIRST, SECOND])
def test_a_move_without_an_answer_is_asked_for_again(message):
    plan = stack_plan(fake_microscope(), lines=3)
    got = images(interrupted(plan, lambda _, m: m == message, TimeoutError("silent")))
    assert got.count(message) == 2 and got[got.index(message) + 1] in (CHECKPOINT, message)
    assert got.count(KICKOFF[0]) == 2
    assert got.index(KICKOFF[0]) > [i for i, m in enumerate(got) if m == FIRST][-1]


def test_a_raster_without_an_answer_is_asked_for_again():
    plan = stack_plan(fake_microscope())
    got = interrupted(plan, lambda _, m: m[:2] == ("prepare", "scanner"), TimeoutError("silent"))
    asked = [i for i, m in enumerate(got) if m[:2] == ("prepare", "scanner")]
    assert len(asked) == 2 and got[asked[1] - 2] == CHECKPOINT  # the stage is looked at anew
    assert images(got) == images(told(stack_plan(fake_microscope())))


def test_a_move_that_never_ended_is_asked_for_again():
    """It was sent while the last lines were collected; the wait for it failed."""
    stxm = fake_microscope(lines=1)
    stxm.energy.arrived = False
    sent = told(stack_plan(fake_microscope(1), lines=1))
    number = sent.index(("complete", "scanner")) + 3  # complete, checkpoint, wait
    got = interrupted(stack_plan(stxm, lines=1), lambda n, _: n == number, TimeoutError("silent"))
    assert images(got) == [
        *go_to(639.0), *KICKOFF, *end(640.0), WAIT, *go_to(640.0), *KICKOFF, *end(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RuntimeError("the motor stopped elsewhere"), "stopped elsewhere"),
        (TimeoutError("gone"), "did not come back"),
    ],
)
def test_a_move_that_fails_otherwise_or_for_good_ends_the_stack(error, raised):
    plan = stack_plan(fake_microscope())
    with pytest.raises(RuntimeError, match=raised):
        interrupted(plan, lambda _, m: m == SECOND, error)


def test_a_server_that_falls_silent_again_and_again_ends_the_stack():
    plan = stack_plan(fake_microscope())
    asked = 0
    message = next(plan)
    with pytest.raises(TimeoutError, match="silent"):
        while True:
            if told([message]) == [SECOND]:
                asked += 1
                message = plan.throw(TimeoutError("silent"))
            else:
                message = next(plan)
    assert asked == 3


@pytest.mark.parametrize("lines", [1, 2, 50])
def test_lines_that_come_one_by_one_are_collected_one_by_one(lines):
    messages = told(stack_plan(fake_microscope(lines), lines=lines))
    assert messages.count(COLLECT) == messages.count(LINE[0]) == 2 * lines


def test_the_stage_comes_first_and_the_raster_from_where_it_stands_then():
    stxm = fake_microscope()
    stxm.coarse = (40.0, -25.0)
    plan = list(stack_plan(stxm))
    messages = told(plan)
    moves = [("set", "coarse_x", 40.0), ("set", "coarse_y", -25.0), WAIT]
    first = messages.index(moves[0])
    assert messages[first : first + 3] == moves
    prepare = next(m for m in plan if m.command == "prepare")
    assert messages[first + 3][:2] == ("prepare", "scanner")
    assert prepare.args[0].x_start == 3.0  # of the last call of place(), after the move


def test_a_stack_that_is_refused_sends_nothing():
    stxm = fake_microscope()
    stxm.refuse = LimitError("mono = 9000 eV is outside its soft limits")
    with pytest.raises(LimitError, match="9000 eV"):
        next(stack_plan(stxm))


def test_the_shutter_follows_before_the_first_image_and_is_closed_after_the_last():
    messages = told(stack_plan(fake_microscope()))
    shutter = [m for m in messages if m[1] == "shutter"]
    assert shutter == [("set", "shutter", "follow"), ("set", "shutter", "closed")]
    assert messages.index(shutter[0]) < messages.index(KICKOFF[0])
    after = messages.index(shutter[1])
    assert messages[after + 2 :] == [
        ("close_run", None), ("unstage", "stxm"), ("set", "edge", ""), WAIT,
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(labels())), ids=labels())
def test_whatever_message_fails_it_is_made_safe(number):
    """Within the run the lines that are ready are kept, in any case the stage is left."""
    plan = stack_plan(fake_microscope())
    before = []
    for _ in range(number + 1):
        before.append(next(plan))
    after = []
    with pytest.raises(RuntimeError, match="it broke"):
        after.append(plan.throw(RuntimeError("it broke")))
        while True:
            after.append(next(plan))
    sent, cleaned = told(before), told(after)
    if ("unsubscribe", None) in sent[:-1] and ("close_run", None) not in sent:
        assert SAFE[1] in cleaned or SAFE[1] in sent
        assert SAFE[0] in cleaned or SAFE[0] in sent
        assert cleaned.count(("close_run", None)) == 1
    if KICKOFF[0] in sent and SAFE[0] not in sent and sent[-1][0] != "unsubscribe":
        assert cleaned[0] == COLLECT
    if ("stage", "stxm") in sent and ("unstage", "stxm") not in sent:
        assert ("unstage", "stxm") in cleaned
    if number > 0 and ("unstage", "stxm") not in sent:
        assert ("set", "edge", "") in cleaned


@pytest.mark.parametrize("number", range(0, len(labels()), 3))
def test_a_plan_that_is_halted_sends_nothing_more(number):
    plan = stack_plan(fake_microscope())
    for _ in range(number + 1):
        next(plan)
    plan.close()  # it would raise if the plan went on
