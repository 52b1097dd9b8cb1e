"""Energy sweeps: a controller that moves the energy evenly and measures the channels meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from .._base import (
    SETTLE_TIMEOUT,
    BeamlineDevice,
    DeviceError,
    Move,
    fail_when_lost,
    published,
    put_now,
    pv,
)
from .._lines import LineArray, LineJoiner, Parts
from .._positioner import FreshSignalRO
from .._watched import Way, watchable
from ._numbers import channel_numbers

__all__ = ["EnergySweep", "FlownLine", "SweepLine"]

CHANNELS = (1, 2, 3, 4)
ERROR = 2


@dataclass(frozen=True)
class SweepLine:
    """Points of an energy sweep.

    Parameters
    ----------
    first : int
        Index of its first point in the scan.
    energies : tuple of float
        True energies (eV) of its points, at equal distances.
    dwell : float
        Time of each (s).
    offset : float
        True minus monochromator energy (eV).
    """

    first: int
    energies: tuple[float, ...]
    dwell: float
    offset: float = 0.0


@dataclass(frozen=True)
class FlownLine:
    """What a sweep measured; arrays have one value for each point, NaN where there is none.

    Attributes
    ----------
    line : SweepLine
    energy : ndarray
        True energy (eV) that was read back.
    means, sigmas : dict of str to ndarray
        By channel's name.
    when : float
        End of the line (s since 1970).
    """

    line: SweepLine
    energy: NDArray[np.float64]
    means: Mapping[str, NDArray[np.float64]]
    sigmas: Mapping[str, NDArray[np.float64]]
    when: float


def _array(suffix: str, doc: str) -> Any:
    return pv(LineArray, suffix, kind="omitted", auto_monitor=True, doc=doc)


class EnergySweep(BeamlineDevice):
    """Line detector of spectra: a line is one even move of the energy.

    The energy stands at the line's begin; the controller moves it evenly through the line, and
    measures its channels for each dwell. It writes the arrays, then increments ``index``, all with
    one time stamp, as every source of lines does (``docs/reference/pvs.md``).

    Parameters
    ----------
    channels : mapping of int to str
        Name of each channel that is connected; the station's names.
    """

    start = pv(EpicsSignal, "Start", kind="omitted", auto_monitor=True, doc="mono energy, eV")
    end = pv(EpicsSignal, "Stop", kind="omitted", auto_monitor=True, doc="mono energy, eV")
    points = pv(EpicsSignal, "Points", kind="omitted", auto_monitor=True, doc="of a line")
    dwell = pv(EpicsSignal, "Dwell", kind="omitted", auto_monitor=True, doc="of a point, s")
    go = pv(EpicsSignal, "Go", kind="omitted", doc="1 flies a line")
    abort = pv(EpicsSignal, "Abort", kind="omitted", put_complete=True, doc="1 ends it")
    state = pv(FreshSignalRO, "State", kind="omitted", auto_monitor=True, doc="0 idle 1 flies 2 no")
    message = pv(EpicsSignalRO, "Message", kind="omitted", string=True, doc="why state is 2")
    max_points = pv(EpicsSignalRO, "MaxPoints", kind="config", auto_monitor=True, doc="of a line")
    min_dwell = pv(EpicsSignalRO, "MinDwell", kind="config", auto_monitor=True, doc="s")
    max_velocity = pv(EpicsSignalRO, "MaxVelocity", kind="config", auto_monitor=True, doc="eV/s")
    settle = pv(EpicsSignalRO, "Settle", kind="config", auto_monitor=True, doc="around a line, s")
    index = pv(EpicsSignalRO, "Index", kind="omitted", auto_monitor=True, doc="lines finished")
    energy = _array("Energy", "mono energy of each point, eV")
    mean1, mean2, mean3, mean4 = (_array(f"Mean{n}", "mean of each point, A") for n in CHANNELS)
    sigma1, sigma2, sigma3, sigma4 = (_array(f"Sigma{n}", "of that mean, A") for n in CHANNELS)

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        channels: Mapping[int, str] | None = None,
        pvs: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        self.numbers = channel_numbers(name, {1: "i0"} if channels is None else channels)
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self._orders = threading.RLock()
        self._flight = 0
        self._flying: tuple[Move, SweepLine] | None = None
        self.flown: FlownLine | None = None
        arrays = {"energy": self.energy}
        for number in self.numbers.values():
            for kind in ("mean", "sigma"):
                arrays[f"{kind}{number}"] = getattr(self, f"{kind}{number}")
        self._joiner = LineJoiner(
            {self.name: (self.index, arrays)}, self._on_line, self._end, self._end
        )
        self.state.subscribe(self._on_state, run=False)
        fail_when_lost([self.state], self._end)

    def line(self, first: int, energies: Sequence[float], dwell: float, offset: float) -> SweepLine:
        """A line, as `set` takes it; see `SweepLine`."""
        return SweepLine(first, tuple(energies), dwell, offset)

    def check_line(self, line: SweepLine) -> None:
        """Refuse a line that it cannot fly.

        Raises
        ------
        ValueError
            Too many points, too short a dwell, too fast; with value, limit and unit.
        """
        points, shortest = int(self.max_points.get()), published(self.min_dwell, "s", zero=True)
        if len(line.energies) > points:
            raise ValueError(
                f"{self.name}: a line of {len(line.energies)} points; it takes {points} "
                f"({self.max_points.pvname})"
            )
        if not line.dwell >= shortest:
            raise ValueError(
                f"{self.name}: a dwell of {line.dwell:g} s is shorter than {shortest:g} s "
                f"({self.min_dwell.pvname})"
            )
        if len(line.energies) > 1:
            velocity = abs(line.energies[1] - line.energies[0]) / line.dwell
            fastest = published(self.max_velocity, "eV/s")
            if not velocity <= fastest * (1 + 1e-9):
                raise ValueError(
                    f"{self.name}: steps of {abs(line.energies[1] - line.energies[0]):g} eV in "
                    f"{line.dwell:g} s are {velocity:.3g} eV/s, faster than {fastest:g} eV/s "
                    f"({self.max_velocity.pvname}); fly with a longer dwell, or in steps"
                )

    def time_to(self, line: SweepLine) -> float:
        """Time (s) that a line takes when the energy stands at its begin."""
        return published(self.settle, "s", zero=True) + len(line.energies) * line.dwell

    def set(self, line: SweepLine) -> Status:
        """Fly a line.

        Returns
        -------
        ophyd.status.Status
            Done when `flown` has it; fails with `DeviceError` when the controller gives up, or a
            line of it was lost. One that a pause broke off ends well, and `flown` is None.

        Raises
        ------
        ValueError
            As `check_line`.
        """
        self.check_line(line)
        mono = [energy - line.offset for energy in line.energies]
        seconds = self.time_to(line)
        what = f"{self.name} ({self.go.pvname}) flying {mono[0]:g} to {mono[-1]:g} eV"
        move = Move(what, 2 * seconds + SETTLE_TIMEOUT)
        self.flown = None

        def begin() -> None:
            for signal, value in (
                (self.start, mono[0]), (self.end, mono[-1]), (self.points, len(mono)),
                (self.dwell, line.dwell),
            ):  # fmt: skip
                signal.put(value, wait=True)
            with self._orders:
                if move.done:
                    return
                self._flight += 1
                self._flying = (move, line)
                self._joiner.start(self._flight, 0, self._joiner.origin(ask=True))
                put_now(self.go, 1)

        threading.Thread(
            target=move.attempt, args=(begin,), daemon=True, name=f"line of {self.name}"
        ).start()
        return watchable(move, Way(self.name, "s", 0.0, seconds, seconds))

    def _on_line(self, flight: int, number: int, parts: Parts | None, when: float) -> None:
        with self._orders:
            flying = self._flying
            if flying is None or flight != self._flight:
                return
            self._flying = None
        move, line = flying
        values = None if parts is None else parts.get(self.name)
        if values is None:
            move.end(DeviceError(f"{move.what}: its arrays were lost on the way"))
            return
        points = len(line.energies)
        means = {name: _filled(values[f"mean{n}"], points) for name, n in self.numbers.items()}
        sigmas = {name: _filled(values[f"sigma{n}"], points) for name, n in self.numbers.items()}
        energy = _filled(values["energy"], points) + line.offset
        self.flown = FlownLine(line, energy, means, sigmas, when or time.time())
        move.end()

    def _on_state(self, *, value: Any, **_: Any) -> None:
        if int(value) == ERROR:
            threading.Thread(target=self._gave_up, daemon=True, name="sweep").start()

    def _gave_up(self) -> None:
        try:
            why = str(self.message.get(use_monitor=False))
        except TimeoutError as exc:
            why = f"it does not say why: {exc}"
        self._end(DeviceError(f"{self.name} ({self.state.pvname}) gave up: {why}"))

    def _end(self, error: Exception | None) -> None:
        with self._orders:
            flying, self._flying = self._flying, None
        if flying is not None:
            flying[0].end(error)

    def stop(self, *, success: bool = False) -> None:
        """End the line; with ``success``, as in a pause, that is no failure."""
        with self._orders:
            under_way = self._flying is not None
        self._end(None if success else DeviceError(f"{self.name} was stopped"))
        if under_way:
            put_now(self.abort, 1)

    def pause(self) -> None:
        """End the line; the plan flies it again."""
        self.stop(success=True)

    def resume(self) -> None:
        """Nothing: the plan asks again."""


def _filled(values: Any, points: int) -> NDArray[np.float64]:
    """So many values; NaN for those that are not there."""
    found = np.full(points, np.nan)
    given = np.asarray(values, dtype=float)[:points]
    found[: len(given)] = given
    return found
