"""Steps one after the other, each done when its status is; no thread waits for them."""

from __future__ import annotations

from collections.abc import Callable, Generator

from ophyd.status import Status

from ._base import settle

__all__ = ["Steps", "run_steps"]

Steps = Generator[Status | None, None, None]
"""Yields the status of each step (None: done already); a failed one is thrown into it."""


def run_steps(steps: Steps, go_on: Callable[[], bool]) -> Status:
    """Run the steps; the status returned is done after the last one.

    A step that fails is raised inside ``steps``, which may take it up; else it fails the status.

    Parameters
    ----------
    steps : generator of Status
    go_on : callable
        Asked before each step; when it says no, the rest is dropped and the status is done.
    """
    whole = Status()

    def advance(error: BaseException | None) -> None:
        while True:
            if not go_on():
                steps.close()
                settle(whole, None)
                return
            try:
                status = next(steps) if error is None else steps.throw(error)
            except StopIteration:
                settle(whole, None)
                return
            except Exception as exc:
                settle(whole, exc)
                return
            error = None
            if status is None:
                continue
            if not status.done:
                status.add_callback(lambda ended: advance(ended.exception(timeout=0)))
                return
            error = status.exception(timeout=0)

    advance(None)
    return whole
