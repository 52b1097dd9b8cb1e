"""A RunEngine that moves the simulated devices, and counts time instead of waiting for it."""

from __future__ import annotations

import asyncio
import math
import signal
import threading
from collections.abc import Sequence
from typing import Any

from bluesky import RunEngine
from bluesky.suspenders import SuspenderBase
from bluesky.utils import FailedStatus

from ..plans.support import Foreseen, largest, move_time, without_verdict
from ..session.support import end_run
from ._account import Account, Run, told
from ._calibration import stand_in
from ._frames import line_of_error, line_of_script, plan_being_made, waiting
from ._place import put_in_place
from ._timeline import Timeline

__all__ = ["DryEngine", "Rehearsal"]


class Rehearsal:
    """What is known of the script so far.

    Parameters
    ----------
    full : bool
        Scans are really measured, on the simulated beamline.
    """

    def __init__(self, *, full: bool = False):
        self.full = full
        self.foretold: list[str] = []
        """Uids of runs that were not measured."""
        self.account, self.timeline = Account(), Timeline()
        self._known: list[tuple[BaseException, Run]] = []  # errors that have their row

    def refused(self, error: BaseException, plan: str | None = None) -> None:
        """Something would be refused; once for each error, however often it is raised again."""
        error = _cause(error)
        for known, run in self._known:
            if known is error:
                run.plan = plan or run.plan
                return
        run = Run(
            plan or plan_being_made() or "plan",
            self.timeline.now,
            ok=False,
            error=told(error),
            line=line_of_error(error) or line_of_script(),
        )
        self.account.runs.append(run)
        self._known.append((error, run))

    def calibrated(self, tes: Any) -> None:
        """A spectrometer would have its calibration now, if that was what was measured."""
        if tes.calibrating.get() and tes.calibration is None:
            tes.set_calibration(stand_in())

    def has(self, error: BaseException) -> bool:
        """Whether the error has its row."""
        return any(_cause(error) is known for known, _ in self._known)

    def ended(self, run: Run, error: BaseException) -> None:
        """An error ended a run."""
        error = _cause(error)
        self._known.append((error, run))
        run.ok, run.error = False, told(error)
        run.line = line_of_error(error) or run.line


def _name_of(plan: Any) -> str | None:
    """What a plan is called; what bluesky's ``@plan`` hands out has a generator that has a name."""
    generator = plan if hasattr(plan, "__name__") else getattr(plan, "_iter", None)
    name = getattr(generator, "__name__", None)
    return None if name is None else str(name).lstrip("_")


def _cause(error: BaseException) -> BaseException:
    """What made a status fail: it names the device."""
    if isinstance(error, FailedStatus) and error.__cause__ is not None:
        return error.__cause__
    return error


class _CtrlCEnds:
    """Ctrl-C ends plan and script: a pause would wait for somebody to resume.

    The second one is Python's own, for a plan that does not come back.
    """

    def __init__(self, engine: DryEngine):
        self._engine = engine
        self._before: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._end)

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def _end(self, *_: object) -> None:
        self._engine.left = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        args = (self._engine, "Ctrl-C")
        threading.Thread(target=end_run, args=args, daemon=True, name="ctrl-c").start()


class DryEngine(RunEngine):
    """RunEngine of a dry run.

    Moves are made, on a simulation where they are over at once, and counted as long as the device
    says that they take. A scan that asks whether it is foretold is told so, and not measured.

    Parameters
    ----------
    *args, **kwargs
        As of `bluesky.RunEngine`.
    rehearsal : Rehearsal
    """

    def __init__(self, *args: Any, rehearsal: Rehearsal, **kwargs: Any):
        self._rehearsal, self._time = rehearsal, rehearsal.timeline
        self._runs: dict[Any, Run] = {}  # open ones
        self._by_reason: set[int] = set()  # those of which only a reason tells why they failed
        self._counting: dict[Any, float] = {}  # live time (s) under way, by group
        self._flights: dict[Any, tuple[float, float]] = {}  # how long a flyer flies, and counts
        self._measured = False  # a foretold scan is being measured all the same
        self.left = False
        """Ctrl-C was pressed."""
        super().__init__(*args, **{**kwargs, "context_managers": [_CtrlCEnds]})

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> Any:
        name = _name_of(plan)
        before = len(self._rehearsal.account.runs)
        try:
            with waiting():
                result = super().__call__(plan, subs, **metadata_kw)
        except BaseException as exc:
            if self.left:
                for run in self._runs.values():
                    run.ok, run.error = False, "Ctrl-C"
                raise KeyboardInterrupt from None
            left = list(self._runs.values())
            mine = self._rehearsal.account.runs[before:]
            failed = left or [run for run in mine if id(run) in self._by_reason]
            if failed and not self._rehearsal.has(exc):
                self._rehearsal.ended(failed[-1], exc)
            else:
                self._rehearsal.refused(exc, name)
            raise
        else:
            if self.left:  # it was too late to end this one
                raise KeyboardInterrupt
            return result
        finally:
            for run in self._runs.values():
                run.duration_s = self._time.now - run.start_s
            self._runs.clear()
            self._by_reason.clear()
            self._counting.clear()
            self._flights.clear()
            self._measured = False
            self._time.forget()

    def install_suspender(self, suspender: Any) -> None:
        """Leave out what waits for the beam: nobody foretells that."""
        if not isinstance(suspender, SuspenderBase):
            super().install_suspender(suspender)
            return
        self._rehearsal.account.note(
            f"{type(suspender).__name__} is left out: how long it would wait cannot be foretold",
            line_of_script(),
        )

    # -- messages ---------------------------------------------------------------------------

    async def _open_run(self, msg: Any) -> Any:
        uid = await super()._open_run(msg)
        named = self._metadata_per_call.get("plan_name") or msg.kwargs.get("plan_name")
        name = named or _name_of(self._plan) or "plan"
        run = Run(name, self._time.now, line=line_of_script())
        self._runs[msg.run] = run
        self._rehearsal.account.runs.append(run)
        if not self._rehearsal.full:
            self._rehearsal.foretold.append(uid)
        return uid

    async def _close_run(self, msg: Any) -> Any:
        uid = await super()._close_run(msg)
        self._measured = False
        run = self._runs.pop(msg.run, None)
        if run is not None:
            run.duration_s = self._time.now - run.start_s
            if msg.kwargs.get("exit_status") not in (None, "success"):
                run.ok, run.error = False, msg.kwargs.get("reason") or "it is ended early"
                self._by_reason.add(id(run))
        return uid

    async def _set(self, msg: Any) -> Any:
        seconds = self._move_time(msg.obj, msg.args)
        answer = await super()._set(msg)
        self._begins(msg, seconds)
        return answer

    async def _trigger(self, msg: Any) -> Any:
        point_time = getattr(msg.obj, "point_time", None)
        seconds = float(point_time()) if callable(point_time) else 0.0
        answer = await super()._trigger(msg)
        self._begins(msg, seconds)
        group, dwell = msg.kwargs.get("group"), getattr(msg.obj, "dwell", None)
        live = seconds if dwell is None else min(seconds, float(dwell.get()))
        self._counting[group] = max(self._counting.get(group, 0.0), live)
        return answer

    async def _prepare(self, msg: Any) -> Any:
        answer = await super()._prepare(msg)
        frame_time, raster = getattr(msg.obj, "frame_time", None), (*msg.args, None)[0]
        if callable(frame_time) and all(hasattr(raster, name) for name in ("nx", "ny", "dwell")):
            times = frame_time(raster.nx, raster.ny, raster.dwell)
            self._flights[msg.obj] = (float(sum(times)), float(times[0]))
        return answer

    async def _complete(self, msg: Any) -> Any:
        answer = await super()._complete(msg)
        seconds, live = self._flights.get(msg.obj, (0.0, 0.0))
        self._begins(msg, seconds)
        if not self._measured:
            group = msg.kwargs.get("group")
            self._counting[group] = max(self._counting.get(group, 0.0), live)
        return answer

    async def _wait(self, msg: Any) -> Any:
        answer = await super()._wait(msg)
        group = msg.args[0] if msg.args else msg.kwargs.get("group")
        self._time.waited(group)
        live = self._counting.pop(group, 0.0)
        if not self._measured:
            for run in self._runs.values():
                run.live_s += live
        return answer

    async def _sleep(self, msg: Any) -> None:
        if not self._measured:
            self._time.passes(*msg.args)

    async def _input(self, msg: Any) -> str:
        prompt = msg.kwargs.get("prompt", "")
        self._rehearsal.account.note(f"it waits for somebody to answer {prompt!r}; taken as ''")
        return ""

    async def _pause(self, msg: Any) -> None:
        self._rehearsal.account.note("it pauses until somebody resumes it", line_of_script())

    async def _null(self, msg: Any) -> Any:
        if "scan" not in msg.kwargs:
            return await super()._null(msg)
        instruments = msg.obj if isinstance(msg.obj, tuple) else (msg.obj,)
        return await asyncio.to_thread(self._foretell, msg, msg.kwargs["scan"], instruments)

    # -- time -------------------------------------------------------------------------------

    def _foretell(self, msg: Any, scan: Any, instruments: Sequence[Any]) -> Any:
        """Count what a scan takes; None where it is to be measured all the same."""
        run = self._runs.get(msg.run)
        foreseen = self._foresee(scan, instruments)
        for text in foreseen.unknown:
            self._rehearsal.account.unknown(text, "" if run is None else run.plan)
        more = getattr(foreseen, "more", 0.0)
        self._rehearsal.account.more_s += more if math.isfinite(more) else 0.0
        self._time.passes(foreseen.total)
        if run is not None:
            run.live_s += foreseen.live
            run.photons = largest(run.photons, foreseen.photons)
            run.dose_gy = largest(run.dose_gy, foreseen.dose_gy)
        if self._rehearsal.full:
            self._measured = True
            return None
        put_in_place(scan, instruments)
        if getattr(instruments[0], "calibrating", None) is not None:
            self._rehearsal.calibrated(instruments[0])
        return foreseen

    def _foresee(self, scan: Any, instruments: Sequence[Any]) -> Any:
        if isinstance(scan, Foreseen):
            if not math.isfinite(scan.total):
                raise ValueError("a device does not say how long its moves take")
            return scan
        return without_verdict(scan, *instruments)

    def _begins(self, msg: Any, seconds: float) -> None:
        if not self._measured:
            self._time.begins(msg.kwargs.get("group"), seconds)

    def _move_time(self, device: Any, target: Sequence[Any]) -> float:
        """How long a device says that a move takes (s)."""
        seconds = move_time(device, target[0] if target else None)
        if seconds is None:
            self._rehearsal.account.note(
                f"{device.name} does not say how long its moves take: they are counted as 0 s"
            )
        return seconds or 0.0
