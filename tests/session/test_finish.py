"""What is waited for after the last line, and what is said of it."""

from __future__ import annotations

import pytest

from redoxscope.session import _finish
from redoxscope.session._finish import finish, finish_at_the_end


class Part:
    """Done at the n-th time that it is waited for; never, where n is None."""

    def __init__(self, name: str, done_at: int | None = 1):
        self.name, self.left, self.limits = name, done_at, []
        self.closed: list[float] = []

    @property
    def pending(self) -> str:
        return "" if self.left == 0 else f"{self.name} of run 1a2b3c4d"

    def wait(self, timeout: float | None = None) -> bool:
        self.limits.append(timeout)
        if self.left is None:
            return False
        self.left = max(0, self.left - 1)
        return self.left == 0

    def close(self, timeout: float) -> None:
        self.closed.append(timeout)


def test_nothing_is_said_where_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    assert finish((Part("map"), Part("catalog")))
    assert not caplog.text


def test_what_takes_long_is_named_with_the_limit(caplog: pytest.LogCaptureFixture) -> None:
    slow = Part("oxidation map", 2)
    assert finish((Part("log"), slow), 20.0)
    assert "waiting for oxidation map of run 1a2b3c4d, at most 20 s" in caplog.text
    caplog.clear()
    slow.left = 2
    assert finish((slow,)) and slow.limits[-1] is None
    assert "at most" not in caplog.text and "Ctrl-C" in caplog.text


def test_what_is_not_done_in_time_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert not finish((Part("oxidation map", None), Part("catalog", None)), 0.0)
    assert "not done after 0 s: oxidation map of run 1a2b3c4d, catalog of run" in caplog.text


@pytest.mark.parametrize(("by_signal", "limit"), [(False, "CLOSE_WAIT"), (True, "SIGNAL_WAIT")])
def test_the_end_waits_for_maps_and_then_closes_the_catalog(by_signal: bool, limit: str) -> None:
    live, stored = Part("map"), Part("catalog")
    finish_at_the_end((live,), stored, by_signal=by_signal)
    (left,) = stored.closed
    assert len(live.limits) == 1 and _finish.AT_LEAST <= left <= getattr(_finish, limit)


def test_the_catalog_has_its_time_however_long_the_maps_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_finish, "CLOSE_WAIT", 0.0)
    stored = Part("catalog")
    finish_at_the_end((Part("map", None),), stored, by_signal=False)
    assert stored.closed == [_finish.AT_LEAST]


def test_ctrl_c_leaves_the_maps_and_closes_the_catalog(caplog: pytest.LogCaptureFixture) -> None:
    class Interrupted(Part):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    stored = Part("catalog")
    finish_at_the_end((Interrupted("map"),), stored, by_signal=False)
    assert stored.closed and "Ctrl-C" in caplog.text


def test_what_is_not_done_is_given_up_before_the_catalog_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Far(Part):
        given_up = False

        def give_up(self) -> None:
            assert not stored.closed
            self.given_up = True

    monkeypatch.setattr(_finish, "CLOSE_WAIT", 0.0)
    stored, late, done = Part("catalog"), Far("reconstruction", None), Far("map", 1)
    finish_at_the_end((late, done), stored, by_signal=False)
    assert stored.closed and late.given_up


def test_what_has_failed_is_not_waited_for_and_what_comes_behind_it_is() -> None:
    """A process that was killed: it is never done, and nothing of it is pending."""

    class Gone(Part):
        @property
        def pending(self) -> str:
            return ""

    slow = Part("catalog", 2)
    assert finish((Gone("reconstruction", None), slow)) and slow.left == 0


def test_results_that_come_late_are_waited_for_when_the_catalog_is_done() -> None:
    class Late(Part):
        def wait(self, timeout: float | None = None) -> bool:
            assert stored.closed
            return super().wait(timeout)

    stored, late = Part("catalog"), Late("results")
    finish_at_the_end((), stored, late, by_signal=False)
    assert late.left == 0
