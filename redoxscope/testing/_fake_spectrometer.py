"""A monochromator and an energy-dispersive detector with no server behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ophyd.status import Status

from ._fake_parts import FakeAxis, FakePoint, FakeSetting, FakeShutter, reading, settled

__all__ = ["FakeMono", "FakeSpectrometer"]


class FakeMono(FakeAxis):
    """A monochromator (eV) whose offsets are all 0."""

    def __init__(self, name: str = "energy", value: float = 600.0, **options: Any) -> None:
        super().__init__(name, value, unit="eV", limits=(400.0, 1100.0), **options)
        self.edge = FakeSetting(f"{name}_edge")

    def offset_at(self, edge: str | None) -> float:
        """0 eV."""
        return 0.0

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""


class FakeSpectrometer:
    """A detector on which `redoxscope.plans.rixs_map` and its kin run in no time.

    Parameters
    ----------
    mono : FakeMono
        At whose energy the points are taken.
    name : str
    prompt : bool
        Points end at once, or when ``finish`` is called.

    Attributes
    ----------
    taken : list of (float, bool)
        Energy (eV) of each window that was closed, and whether there was beam.
    """

    parent = None
    ring: Any = None
    holder: Any = None

    def __init__(self, mono: FakeMono, name: str = "tes", *, prompt: bool = True) -> None:
        self.name, self.prompt = name, prompt
        self.dwell = FakeSetting("tes_dwell", 1.0)
        self.windows = FakeSetting("tes_windows", [])
        self.pixel_limit = FakeSetting("tes_pixel_limit", 0)
        self.calibrating = FakeSetting("tes_calibrating", False)
        self.photons = _Photons()
        self.totals = FakePoint("tes_totals")
        self.calibrator = SimpleNamespace(name="tes_calibrator", lines=FakeSetting("tes_lines"))
        self.conditions = _Conditions()
        self.shutter = FakeShutter()
        monitor = FakePoint("i0")
        self.counters = [monitor]
        monitor.dwell, monitor.field = FakeSetting("i0_dwell", 1.0), "i0"  # type: ignore[attr-defined]
        self.taken: list[tuple[float, bool]] = []
        self._mono = mono
        self._open: Status | None = None

    def __repr__(self) -> str:
        return self.name

    def check_scan(self, **_: Any) -> None:
        """It can do everything."""

    def back_after(self, error: BaseException) -> None:
        """Nothing was away."""

    def stage(self) -> Status:
        """Ready at once."""
        return settled()

    def unstage(self) -> list[object]:
        """Drop the window that is open."""
        self.pause()
        return [self]

    def point_time(self, dwell: float) -> float:
        """The dwell (s), and no more."""
        return dwell

    def trigger(self) -> Status:
        """Open a window."""
        self.pause()
        self._open = Status()
        status = self._open
        if self.prompt:
            self.finish()
        return status

    def finish(self) -> None:
        """Close the window."""
        if self._open is not None and not self._open.done:
            self.taken.append((self._mono.position, self.shutter.beam))
            self._open.set_finished()

    def pause(self) -> None:
        """Drop the window: its status ends well."""
        if self._open is not None and not self._open.done:
            self._open.set_finished()

    def resume(self) -> None:
        """Do nothing: the plan asks again."""

    def stop(self, *, success: bool = False) -> None:
        """As `pause`."""
        self.pause()

    def read(self) -> dict[str, Any]:
        """Number of the last window, from 0."""
        return {"tes_point": reading(len(self.taken) - 1)}

    def describe(self) -> dict[str, Any]:
        """Its data key."""
        return {"tes_point": _whole()}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def _whole() -> dict[str, Any]:
    return {"source": "fake", "dtype": "integer", "dtype_numpy": "<i8", "shape": []}


class _Conditions:
    """What was asked for a point holds always."""

    name = "tes_conditions"
    parent = None

    def __init__(self) -> None:
        self.asked: Mapping[str, Any] = {"point": -1}
        self.verdict = SimpleNamespace(status=0, reasons=(), taken="")

    def __repr__(self) -> str:
        return self.name

    def set(self, asked: Mapping[str, Any]) -> Status:
        self.asked = asked
        return settled()

    def trigger(self) -> Status:
        return settled()

    def stop(self, *, success: bool = False) -> None:
        """There is nothing to stop."""

    def read(self) -> dict[str, Any]:
        return {"point": reading(self.asked["point"])}

    def describe(self) -> dict[str, Any]:
        return {"point": _whole()}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


class _Photons:
    """No photon ever comes."""

    name = "tes_photons"
    parent = None

    def describe_collect(self) -> dict[str, Any]:
        return {"tes_photon_time": {**_whole(), "external": "STREAM:"}}

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        none: Sequence[tuple[str, dict[str, Any]]] = ()
        yield from none

    def get_index(self) -> int:
        return 0
