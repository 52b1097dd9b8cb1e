"""An absorption station with no server behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from ophyd.status import Status

from ..devices.xas import Flown, FlownLine, SweepLine
from ..documents import PointStatus, XasMode, sigma_key
from ._fake_parts import FakePoint, FakeSetting, FakeShutter, number_key, reading, settled
from ._fake_spectrometer import FakeMono

__all__ = ["FakeStation"]


class FakeStation:
    """A station on which `redoxscope.plans.xas` runs in no time.

    Parameters
    ----------
    mono : FakeMono, optional
    name : str
    current : callable, optional
        ``current(channel, energy)``: what a channel says (A) at an energy (eV) with beam, by its
        name: ``i0``, ``tey`` or ``tfy``; without beam it is 0.
    prompt : bool
        Points end at once, or when ``detectors[0].finish()`` is called.
    flies : bool
        Whether it has a sweep. Its lines end at once; ``sweep.lost`` says how many of the next
        ones come with NaN for their second point.

    Attributes
    ----------
    taken : list of (float, bool)
        Energy (eV) of each point that was counted, and whether there was beam.
    """

    parent = None
    ring: Any = None
    holder: Any = None

    def __init__(
        self,
        mono: FakeMono | None = None,
        name: str = "station",
        *,
        current: Callable[[str, float], float] = lambda channel, energy: 1e-9,
        prompt: bool = True,
        flies: bool = False,
    ) -> None:
        self.name = name
        self.mono = FakeMono() if mono is None else mono
        self.shutter: Any = FakeShutter()
        self.taken: list[tuple[float, bool]] = []
        self.detectors = [_Currents(self, current, prompt=prompt)]
        self.dwells = [FakeSetting("electrometer_dwell", 0.1)]
        self.darkened = [FakeSetting("electrometer_dark", False)]
        self.modes = {
            mode: XasMode(f"electrometer_{mode.lower()}", "electrometer_i0")
            for mode in ("TEY", "TFY")
        }
        self.sweep: Any = _Sweep(self, current) if flies else None
        self.flown = Flown(self)
        self.flown_modes = dict(self.modes) if flies else {}
        channels = _Currents.CHANNELS if flies else ()
        self.flown_channels = {name: f"electrometer_{name}" for name in channels}
        self.conditions = _Conditions()
        self.counters: list[Any] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def parts(self) -> list[Any]:
        """What is read into an event."""
        return [*self.detectors, self.mono, self.conditions]

    def check_scan(self, *, dwell: float) -> None:
        """Refuse what its detector cannot do.

        Raises
        ------
        ValueError
        """
        if dwell < 1e-3:
            raise ValueError(f"electrometer: a dwell of {dwell:g} s is shorter than 0.001 s")

    def point_time(self, dwell: float) -> float:
        """The dwell (s), and no more."""
        return dwell

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""

    def stage(self) -> list[object]:
        """Ready at once."""
        return [self]

    def unstage(self) -> list[object]:
        """As it was."""
        return [self]

    def stop(self, *, success: bool = False) -> None:
        """Drop the point that is open."""
        self.detectors[0].pause()


class _Currents(FakePoint):
    """Three currents at once."""

    CHANNELS = ("i0", "tey", "tfy")

    def __init__(
        self, station: FakeStation, current: Callable[[str, float], float], *, prompt: bool
    ) -> None:
        super().__init__("electrometer", prompt=prompt)
        self._station, self._current = station, current
        self._values = dict.fromkeys(self.CHANNELS, 0.0)

    def finish(self) -> None:
        if self._open is not None and not self._open.done:
            energy, beam = self._station.mono.position, self._station.shutter.beam
            self._station.taken.append((energy, beam))
            self._values = {
                name: self._current(name, energy) if beam else 0.0 for name in self.CHANNELS
            }
        super().finish()

    def read(self) -> dict[str, Any]:
        found = {}
        for name, value in self._values.items():
            key = f"{self.name}_{name}"
            found[key] = reading(value)
            found[sigma_key(key)] = reading(1e-3 * value)
        return found

    def describe(self) -> dict[str, Any]:
        return {key: number_key("A") for key in self.read()}


class _Sweep:
    """Lines that are measured at once."""

    name = "sweep"
    parent = None

    def __init__(self, station: FakeStation, current: Callable[[str, float], float]) -> None:
        self._station, self._current = station, current
        self.numbers = {name: i for i, name in enumerate(_Currents.CHANNELS, 1)}
        self.max_points = FakeSetting("sweep_max_points", 100)
        self.flown: FlownLine | None = None
        self.lines: list[SweepLine] = []
        self.lost = 0
        self.energy = self.mean1 = self.mean2 = self.mean3 = SimpleNamespace(pvname="sweep")

    def __repr__(self) -> str:
        return self.name

    def line(self, first: int, energies: Sequence[float], dwell: float, offset: float) -> SweepLine:
        return SweepLine(first, tuple(energies), dwell, offset)

    def check_line(self, line: SweepLine) -> None:
        """It can fly everything."""

    def time_to(self, line: SweepLine) -> float:
        return line.dwell * len(line.energies)

    def set(self, line: SweepLine) -> Status:
        beam = self._station.shutter.beam
        self.lines.append(line)
        energy = np.array(line.energies)
        means = {
            name: np.array([self._current(name, e) if beam else 0.0 for e in line.energies])
            for name in self.numbers
        }
        if self.lost:
            self.lost -= 1
            for values in means.values():
                values[1:2] = np.nan
        sigmas = {name: 1e-3 * values for name, values in means.items()}
        self.flown = FlownLine(line, energy, means, sigmas, time.time())
        self._station.mono.position = line.energies[-1]
        return settled()

    def pause(self) -> None:
        """Nothing is under way."""

    def resume(self) -> None:
        """Do nothing: the plan asks again."""

    def stop(self, *, success: bool = False) -> None:
        """Nothing is under way."""

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class _Conditions:
    """What was asked for a point holds, unless ``doubts`` says of some point what does not."""

    name = "station_conditions"
    parent = None

    def __init__(self) -> None:
        self.asked: Mapping[str, Any] = {"point": -1}
        self.verdict: Any = SimpleNamespace(status=0, reasons=(), taken="")
        self.doubts: dict[int, list[PointStatus]] = {}
        """Status of each try of a point, by its index; what is not there holds."""
        self.taken = ""
        """What somebody else did to the shutter."""
        self._tries = (-1, 0)

    def __repr__(self) -> str:
        return self.name

    def set(self, asked: Mapping[str, Any]) -> Status:
        point, tries = self._tries
        self._tries = (asked["point"], tries + 1 if asked["point"] == point else 1)
        self.asked = asked
        return settled()

    def trigger(self) -> Status:
        waiting = self.doubts.get(self.asked["point"], [])
        status = waiting.pop(0) if waiting else PointStatus.OK
        reasons = (f"{status!r}",) if status else ()
        taken = self.taken if status & PointStatus.SHUTTER else ""
        self.verdict = SimpleNamespace(status=status, reasons=reasons, taken=taken)
        return settled()

    def stop(self, *, success: bool = False) -> None:
        """There is nothing to stop."""

    def read(self) -> dict[str, Any]:
        values = {
            "point": self.asked["point"],
            "xas_point_status": int(self.verdict.status),
            "xas_point_tries": self._tries[1],
        }
        return {key: reading(value) for key, value in values.items()}

    def describe(self) -> dict[str, Any]:
        key = {"source": "fake", "dtype": "integer", "dtype_numpy": "<i8", "shape": []}
        return {name: dict(key) for name in self.read()}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}
