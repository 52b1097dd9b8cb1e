"""The session's supplemental data: a baseline at both ends of every run, monitors, flyers."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineControlException, ensure_generator

from ..documents import monitor_stream
from ..plans.support import carried

__all__ = ["Baseline"]

log = logging.getLogger("redoxscope.session")

NAME = "baseline"
_BEFORE = ("monitor", "subscribe", "unsubscribe", "null")
"""Messages that may come between a run's opening and its plan's own baseline."""

MsgGenerator = Generator[Msg, Any, Any]


class Baseline(bpp.SupplementalData):
    """As bluesky's `SupplementalData`, but shares its stream with a plan that has a baseline too.

    ``bpp.baseline_wrapper`` around a plan would declare the stream a second time; here its devices
    and the session's are read into one event.

    Parameters
    ----------
    baseline, monitors, flyers : sequence of device
        As of `SupplementalData`: lists, which the user changes as he likes.
    carried : sequence of device
        Of the baseline, what runs of images have in the configuration of their lines already. They
        are not read for such runs: without further devices those have no stream ``baseline``, and
        other people's readers of stacks refuse a run with a stream that lacks the counter.
    """

    def __init__(
        self,
        *,
        baseline: Sequence[Any] = (),
        monitors: Sequence[Any] = (),
        flyers: Sequence[Any] = (),
        carried: Sequence[Any] = (),
    ) -> None:
        super().__init__(baseline=baseline, monitors=monitors, flyers=flyers)
        self._carried = tuple(carried)

    def __repr__(self) -> str:
        lists = (f"{name}={getattr(self, name)}" for name in ("baseline", "monitors", "flyers"))
        return f"SupplementalData({', '.join(lists)})"

    def __call__(self, plan: MsgGenerator) -> MsgGenerator:
        if self.flyers:  # bluesky's wrapper keeps every message until the plan's end
            plan = bpp.fly_during_wrapper(plan, self.flyers)
        if self.monitors:
            plan = _monitored(plan, list(self.monitors))
        return (yield from _read_with(plan, list(self.baseline), self._carried))


def _monitored(plan: MsgGenerator, signals: Sequence[Any]) -> MsgGenerator:
    """Record signals with every run, as they change; it ends with the run.

    One that does not answer when the run is opened costs its stream, not the run.
    """

    def carry(msg: Msg) -> MsgGenerator:
        answer = yield msg
        if msg.command != "open_run":
            return answer
        lines = _of_lines(msg.kwargs)
        for signal in signals:
            try:
                if lines and not getattr(getattr(signal, "parent", None), "heats", True):
                    continue  # other people's readers of stacks refuse one with further streams
                yield Msg("monitor", signal, run=msg.run, name=monitor_stream(signal.name))
            except RunEngineControlException:
                raise
            except Exception as exc:
                log.warning("%s is not recorded with this run: %s", signal.name, exc)
        return answer

    return (yield from carried(ensure_generator(plan), carry))


def _read_with(
    plan: MsgGenerator, every: Sequence[Any], carried_by_lines: Sequence[Any]
) -> MsgGenerator:
    if not every:
        return (yield from plan)
    devices: dict[Any, list[Any]] = {}  # what is read for a run that is open
    due: set[Any] = set()  # runs that have just been opened
    shared: dict[Any, list[Any]] = {}  # what is added to the plan's own baseline, by run
    reading: set[Any] = set()  # runs with an event of it open

    def read(run: Any, *, first: bool) -> MsgGenerator:
        def readings() -> MsgGenerator:
            if first:
                yield from bps.declare_stream(*devices[run], name=NAME)
            yield from bps.trigger_and_read(devices[run], name=NAME)

        yield from readings() if run is None else bpp.set_run_key_wrapper(readings(), run)

    def opened(msg: Msg) -> MsgGenerator:
        uid = yield msg  # a run that could not be opened (a full disk) has no baseline
        shared.pop(msg.run, None)
        there = carried_by_lines if _of_lines(msg.kwargs) else ()
        devices[msg.run] = [device for device in every if device not in there]
        if devices[msg.run]:
            due.add(msg.run)
        else:
            shared[msg.run] = []
        return uid

    def begin(msg: Msg) -> MsgGenerator:
        yield from read(msg.run, first=True)
        if msg.command == "close_run":
            return (yield from end(msg))
        return (yield msg)

    def end(msg: Msg) -> MsgGenerator:
        early = msg.kwargs.get("exit_status") not in (None, "success")
        try:
            yield from read(msg.run, first=False)
        except Exception as exc:
            if not early:
                raise
            # What ended the run is what counts, and its stop document.
            log.warning("no baseline at the end of the run: %s", exc.__cause__ or exc)
        return (yield msg)

    def saved(msg: Msg) -> MsgGenerator:
        for device in shared[msg.run]:
            yield Msg("read", device, run=msg.run)
        return (yield msg)

    def carry(msg: Msg) -> MsgGenerator:
        name, run = msg.kwargs.get("name"), msg.run
        if msg.command == "open_run":
            return (yield from opened(msg))
        if run in due and msg.command == "declare_stream" and name == NAME:
            due.discard(run)
            taken = {key for device in msg.args for key in device.describe()}
            shared[run] = [d for d in devices[run] if taken.isdisjoint(d.describe())]
            return (yield msg._replace(args=(*msg.args, *shared[run])))
        if run in due and msg.command not in _BEFORE:
            due.discard(run)
            return (yield from begin(msg))
        if run in shared and msg.command == "create" and name == NAME:
            reading.add(run)
        elif run in reading and msg.command in ("save", "drop"):
            reading.discard(run)
            if msg.command == "save":
                return (yield from saved(msg))
        elif msg.command == "close_run" and run not in shared:
            return (yield from end(msg))
        return (yield msg)

    return (yield from carried(ensure_generator(plan), carry))


def _of_lines(metadata: Mapping[str, Any]) -> bool:
    """Whether a run's metadata say that it is one of images."""
    scan = metadata.get("scan")
    return isinstance(scan, Mapping) and scan.get("kind") == "lines"
