"""What ends a plan makes safe, also when it is interrupted again meanwhile."""

from __future__ import annotations

import pytest
from bluesky import Msg
from bluesky.utils import RequestAbort

from redoxscope.plans._safety import made_safe


def endless():
    while True:
        yield Msg("null")


def step(name):
    return name, lambda: iter([Msg("null", None, name), Msg("wait", None, name)])


def test_an_abort_during_the_cleanup_does_not_end_it():
    def steps():
        return step("halt"), step("close")

    plan = made_safe(endless(), steps())
    seen = [next(plan)]
    seen.append(plan.throw(ValueError("the plan's own error")))
    while True:
        try:
            if len(seen) == 3:  # in the middle of the first step
                seen.append(plan.throw(RequestAbort()))
            else:
                seen.append(next(plan))
        except RequestAbort:
            break
    assert [(m.command, *m.args) for m in seen[1:]] == [
        ("null", "halt"), ("wait", "halt"), ("null", "halt"), ("wait", "halt"),
        ("null", "close"), ("wait", "close"),
    ]  # fmt: skip


def test_a_step_that_fails_does_not_keep_the_next(caplog):
    def fail():
        yield Msg("null", None, "halt")
        raise OSError("no such luck")

    plan = made_safe(iter([Msg("null", None, "plan")]), [("halt", fail), step("close")])
    said = []
    with pytest.raises(OSError, match="no such luck"):
        while True:
            said.append(next(plan).args[0])
    assert said == ["plan", "halt", "close", "close"]
    assert "could not halt: no such luck. CHECK IT BY HAND." in caplog.text
