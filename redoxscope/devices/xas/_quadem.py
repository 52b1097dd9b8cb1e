"""Picoammeter of up to four channels: drain currents, photodiodes, ion chambers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from ...documents import sigma_key
from .._base import SETTLE_TIMEOUT, BeamlineDevice, DeviceError, Move, published, put_now, pv
from .._light import check_light, watch_light
from .._numbers import flag
from .._positioner import FreshSignalRO
from .._setting import Setting
from .._watch import together
from .._watched import Way, watchable
from ._numbers import channel_numbers

__all__ = ["QuadEM"]

CHANNELS = (1, 2, 3, 4)
LOOK_AGAIN = 0.003
"""Time (s) after which a mean that is still that of the point before is asked for again."""


def _mean(channel: int) -> Any:
    return pv(
        FreshSignalRO, f"Current{channel}:MeanValue_RBV", kind="omitted", auto_monitor=True,
        doc="mean of the point, A",
    )  # fmt: skip


def _spread(channel: int) -> Any:
    return pv(
        FreshSignalRO, f"Current{channel}:Sigma_RBV", kind="omitted", auto_monitor=True,
        doc="standard deviation of the readings of the point, A",
    )  # fmt: skip


class QuadEM(BeamlineDevice):
    """Electrometer with the PVs of EPICS quadEM (AH501, TetrAMM, NSLS electrometers).

    The PVs are those of `ophyd.quadem.QuadEM`, of which this takes the few that a point needs, so
    that it can be made while nothing answers and beamline files can give them other names. A
    point is one acquisition in the mode *Single*; its value is the mean over ``dwell``, its sigma
    the standard deviation of the readings over the root of their number.

    Parameters
    ----------
    channels : mapping of int to str
        Name of each channel that is connected: ``{1: "i0", 2: "tey", 3: "tfy"}``. Data keys are
        ``<device>_<name>``.
    upstream : sequence of str
        Channels that have light also behind the closed shutter: a dark point says nothing of
        them, and is NaN.

    Raises
    ------
    ValueError
        No channel, one that there is not, two of the same name.

    Notes
    -----
    quadEM calculates the mean in a plugin, which may be later than the end of the acquisition: a
    mean counts as new when its server's time stamp is another than before the trigger.
    """

    dwell = pv(
        EpicsSignal, "AveragingTime", kind="config", auto_monitor=True, doc="time of a point (s)"
    )
    sample_time = pv(
        EpicsSignalRO, "SampleTime_RBV", kind="config", auto_monitor=True,
        doc="time between two readings (s)",
    )  # fmt: skip
    acquire = pv(
        EpicsSignal, "Acquire", kind="omitted", put_complete=True, auto_monitor=True,
        doc="1 measures a point",
    )  # fmt: skip
    acquire_mode = pv(
        EpicsSignal, "AcquireMode", kind="omitted", auto_monitor=True,
        doc="0 continuous, 1 multiple, 2 single",
    )  # fmt: skip
    averaged = pv(
        FreshSignalRO, "NumAveraged_RBV", kind="omitted", auto_monitor=True,
        doc="readings in the mean",
    )  # fmt: skip
    mean1, mean2, mean3, mean4 = (_mean(channel) for channel in CHANNELS)
    spread1, spread2, spread3, spread4 = (_spread(channel) for channel in CHANNELS)
    dark = Cpt(
        Setting, value=False, check=flag, kind="config", doc="measure behind a closed shutter"
    )

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        channels: Mapping[int, str] | None = None,
        upstream: Any = (),
        pvs: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"detectors"})
        given = {1: "i0"} if channels is None else dict(channels)
        self._numbers = channel_numbers(name, given)
        wrong = [one for one in upstream if one not in self._numbers]
        if wrong:
            known = ", ".join(self._numbers)
            raise ValueError(f"{name}: upstream has {wrong[0]!r}; its channels are {known}")
        self._upstream = frozenset(upstream)
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.stage_sigs["acquire"] = 0
        self.stage_sigs["acquire_mode"] = 2
        self.attach(None)
        self._counting: Move | None = None
        self._reading: dict[str, dict[str, Any]] | None = None
        self._stamps: list[float] | None = None

    @property
    def upstream(self) -> frozenset[str]:
        """Channels that have light also behind the closed shutter."""
        return self._upstream

    @property
    def channels(self) -> dict[str, str]:
        """Data key of each channel, by its name."""
        return {channel: f"{self.name}_{channel}" for channel in self._numbers}

    def stage(self) -> list[object]:
        """Have it measure one point when it is triggered; others may have used it meanwhile."""
        self._stamps = None
        return super().stage()

    def attach(self, shutter: Any, watched: Callable[[], bool] = lambda: False) -> None:
        """Name the shutter of the beam that it measures, and who says whether a plan watches it."""
        self._shutter, self._watched = shutter, watched

    def check_dwell(self, dwell: float) -> None:
        """Refuse a time of a point (s) that it cannot have.

        Raises
        ------
        ValueError
            Shorter than the time between two of its readings.
        """
        shortest = published(self.sample_time, "s", zero=True)
        if not dwell >= shortest:
            raise ValueError(
                f"{self.name}: a dwell of {dwell:g} s is shorter than its readings, "
                f"{shortest:g} s ({self.sample_time.pvname})"
            )

    def point_time(self, dwell: float | None = None) -> float:
        """Time (s) of a point of so much dwell (s), by default the one that is set."""
        return published(self.dwell, "s") if dwell is None else dwell

    def trigger(self) -> Status:
        """Measure for ``dwell``; in a step scan of anybody's the light is looked after here.

        Returns
        -------
        ophyd.status.Status
            Done when the means of this point have come. Fails with `DeviceError` when they do
            not, or the shutter moved meanwhile.

        Raises
        ------
        DeviceError
            The shutter is closed (with ``dark``: open), or ``dwell`` is none.
        ValueError
            The shutter's dead man would close it during the dwell.
        """
        dwell = published(self.dwell, "s")
        shutter = None if self._watched() else self._shutter
        check_light(self, shutter, dwell)
        what = f"{self.name} ({self.acquire.pvname}) measuring for {dwell:g} s"
        move = Move(what, dwell + SETTLE_TIMEOUT)
        self._end(None)
        self._counting, self._reading = move, None
        check, end = watch_light(self, shutter)
        over = threading.Event()
        move.add_callback(end)
        move.add_callback(lambda _: over.set())  # what ends it early

        def measure() -> None:
            before = self._stamps_before()
            if move.done:
                return
            self.acquire.put(1, use_complete=True, callback=lambda **_: over.set())
            over.wait()
            reading = None
            pause = threading.Event()
            while not move.done and (reading := self._since(before)) is None:
                pause.wait(LOOK_AGAIN)
            if not move.done and reading is not None:
                check()
                self._reading = reading
                move.end()

        threading.Thread(
            target=move.attempt, args=(measure,), daemon=True, name=f"point of {self.name}"
        ).start()
        return watchable(move, Way(self.name, "s", 0.0, dwell, dwell))

    def _of_channels(self, kind: str) -> list[Any]:
        return [getattr(self, f"{kind}{number}") for number in self._numbers.values()]

    def _stamps_before(self) -> list[float]:
        """Time stamps of the means that are there before a point: those that were read last."""
        if self._stamps is not None:
            return self._stamps
        read = together([signal.read for signal in self._of_channels("mean")])
        return [next(iter(one.values()))["timestamp"] for one in read]

    def _since(self, before: list[float] | None) -> dict[str, dict[str, Any]] | None:
        """Readings of all channels; None where one is still that of the point before."""
        means, spreads = self._of_channels("mean"), self._of_channels("spread")
        asked = together([signal.read for signal in (*means, *spreads, self.averaged)])
        told = [next(iter(one.values())) for one in asked]
        mean, spread, readings = told[: len(means)], told[len(means) : -1], told[-1]["value"]
        stamps = [one["timestamp"] for one in mean]
        if before is not None and any(new == old for new, old in zip(stamps, before, strict=True)):
            return None
        self._stamps = stamps
        dark = bool(self.dark.get())
        found: dict[str, dict[str, Any]] = {}
        for (channel, key), value, width in zip(self.channels.items(), mean, spread, strict=True):
            number, sigma = float(value["value"]), _of_mean(width["value"], readings)
            if dark and channel in self._upstream:
                number = sigma = math.nan
            found[key] = {"value": number, "timestamp": value["timestamp"]}
            found[sigma_key(key)] = {"value": sigma, "timestamp": value["timestamp"]}
        return found

    def _end(self, error: Exception | None) -> None:
        if self._counting is not None:
            self._counting.end(error)

    def stop(self, *, success: bool = False) -> None:
        """Abandon the point; with ``success``, as in a pause, it does not count as failed."""
        under_way = self._counting is not None and not self._counting.done
        self._end(None if success else DeviceError(f"{self.name} was stopped"))
        self._stamps = None  # what a point that was broken off still brings, is not known
        if under_way:
            put_now(self.acquire, 0)

    def pause(self) -> None:
        """Abandon the point; the plan measures it again."""
        self.stop(success=True)

    def resume(self) -> None:
        """Nothing: the plan triggers again."""

    # -- readings -------------------------------------------------------------------------

    def read(self) -> dict[str, dict[str, Any]]:
        """The point that was measured last; before there is one, what the PVs say."""
        found = super().read()
        reading = self._reading if self._reading is not None else self._since(None)
        assert reading is not None
        return {**found, **reading}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Data keys: for each channel its current (A) and the sigma of that (A)."""
        found = super().describe()
        for (_, key), mean in zip(self.channels.items(), self._of_channels("mean"), strict=True):
            about = {
                "source": f"PV:{mean.pvname}", "dtype": "number", "dtype_numpy": "<f8",
                "shape": [], "units": "A",
            }  # fmt: skip
            found[key] = about
            found[sigma_key(key)] = dict(about)
        return found

    @property
    def hints(self) -> dict[str, Any]:
        """The currents, without their sigmas."""
        return {"fields": list(self.channels.values())}


def _of_mean(spread: Any, readings: Any) -> float:
    """Standard deviation of a mean (A), from that of so many readings; NaN where that says none."""
    spread, readings = float(spread), float(readings)
    if not (readings > 1 and math.isfinite(spread) and spread >= 0):
        return math.nan
    return spread / math.sqrt(readings)
