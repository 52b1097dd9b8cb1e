"""A run whose start document says what the plan meant, in whichever RunEngine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineControlException

from ..documents import check_start

__all__ = ["Ended", "in_run"]

MsgGenerator = Generator[Msg, Any, Any]


class Ended(str):
    """Why a run ended as it should, and before all of it was measured."""

    __slots__ = ()


def in_run(
    plan: Callable[[], MsgGenerator],
    meant: Mapping[str, Any],
    md: Mapping[str, Any],
    reserved: Collection[str],
) -> MsgGenerator:
    """Run a plan within a run; refuse a start document gone wrong, say how and why it ended.

    As bluesky's ``run_wrapper``, which loses the reason of ``RE.abort(reason)``: a plan is told
    that it is aborted, not why.

    bluesky merges metadata when it opens the run, where no plan can look beforehand: so the plan
    reads its own start document, and a run that it does not describe ends before its first
    move, as failed.

    Parameters
    ----------
    plan : callable
        Makes the plan. An `Ended` that it returns is the reason in the stop document.
    meant : mapping
        The contract's keys and values.
    md : mapping
        The user's further metadata.
    reserved : collection of str
        Keys that only the plan may write.

    Raises
    ------
    ValueError
        The start document says something else; names each key.
    """
    starts: dict[str, Mapping[str, Any]] = {}
    said: list[Ended] = []

    def look(name: str, doc: Mapping[str, Any]) -> None:
        starts[doc["uid"]] = doc

    token = yield Msg("subscribe", None, look, "start")
    uid = yield from bps.open_run({**md, **meant})

    def whole() -> MsgGenerator:
        yield Msg("unsubscribe", None, token=token)
        if uid in starts:  # there is none where a plan is only listed
            check_start(starts[uid], meant, reserved)
        found = yield from plan()
        if isinstance(found, Ended):
            said.append(found)

    def done() -> MsgGenerator:
        yield from bps.close_run(reason=str(said[0]) if said else None)

    def failed(error: BaseException) -> MsgGenerator:
        if not isinstance(error, RunEngineControlException):
            yield from bps.close_run(exit_status="fail", reason=str(error))
            return
        asked = _Reason()
        yield Msg("install_suspender", None, asked)
        yield Msg("remove_suspender", None, asked)
        status = getattr(error, "exit_status", "abort")
        yield from bps.close_run(exit_status=status, reason=asked.reason)

    yield from bpp.contingency_wrapper(whole(), except_plan=failed, else_plan=done)
    return uid


class _Reason:
    """Asks the RunEngine why it was aborted: a suspender is the one thing that gets to see it."""

    reason = ""

    def install(self, engine: Any, *, event_type: Any = None) -> None:
        self.reason = str(getattr(engine, "_reason", "") or "")

    def remove(self) -> None:
        """Nothing was subscribed."""
