"""What flies lines: the one thing that the scanner needs of a controller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ophyd import Signal
from ophyd.status import Status

from ..scan import Raster
from ._base import Move
from ._times import FrameTime
from ._watch import Held

__all__ = ["FlownLine", "LineLimits", "LineListener", "LineSource", "ScannerState"]


class ScannerState:
    """What a controller does."""

    IDLE, FLYING, ERROR = 0, 1, 2


@dataclass(frozen=True)
class LineLimits:
    """What a source can fly.

    Parameters
    ----------
    min_dwell, max_dwell : float
        s per pixel.
    max_points : int
        Pixels of a line.
    run_up : float
        How far (µm) it goes beyond a line at each end.
    """

    min_dwell: float
    max_dwell: float
    max_points: int
    run_up: float


@dataclass(frozen=True)
class FlownLine:
    """A line that a source has flown, or tried to.

    Parameters
    ----------
    flight : int
        As given to `LineSource.launch`.
    line : int
        Its number, as the controller has it.
    when : float
        When it was finished (s since 1970).
    x, y : array or None
        Measured positions of its pixels (µm, sample coordinates); None where there are none.
    counts : mapping of str to array
        By the detectors' ``field``.
    missed : str
        Why it was not taken, in words; empty where it was. Its counts mean nothing.
    wrong : tuple of str
        What was not as asked for, although it was taken.
    """

    flight: int
    line: int
    when: float
    x: Any = None
    y: Any = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    missed: str = ""
    wrong: tuple[str, ...] = ()


class LineListener(Protocol):
    """Who is told of lines; a source may call it from any thread.

    A *flight* is a number that grows with every interruption: what belongs to an earlier one
    is void.
    """

    def on_line(self, flown: FlownLine) -> None:
        """A line has ended. What is wrong with it, is found and told here; it never raises."""

    def on_error(self, error: Exception, flight: int | None = None) -> None:
        """Nothing more will come (of this flight)."""

    def on_lost(self, error: Exception) -> None:
        """The controller does not answer: it is waited for, and the line flown again."""

    def still(self, flight: int, action: Callable[[], None]) -> bool:
        """Do what must not come after a halt, unless the flight is void.

        Returns whether it was done. The action must not wait for anything.
        """


@runtime_checkable
class LineSource(Protocol):
    """Flies lines, one after the other or by itself, and publishes each.

    What has to hold meanwhile, beam, tries, outages, pauses and the record are not its business:
    `RasterScanner` has them once for all sources. How to write one:
    ``docs/how-to/own-controller.md``.
    """

    name: str

    def attach(
        self, detectors: Sequence[Any], axes: tuple[Any, Any], listener: LineListener
    ) -> None:
        """Take the counters to read, the fine stage's motors (x, y), and who is to be told."""

    def where(self) -> Mapping[str, str]:
        """PVs, for documents and messages.

        Of ``line``, ``sample_x``, ``sample_y`` and each detector's ``field``; ``index`` says that a
        line is finished, ``state`` what the controller does.
        """

    def signals(self) -> Sequence[Signal]:
        """What it cannot do without."""

    def limits(self) -> LineLimits:
        """What it can fly; raises `DeviceError` where it says nothing sensible."""

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """Time (s) that it declares for an image of so many pixels and lines; nothing moves.

        ``dwell`` is in s per pixel. Raises `DeviceError` where it says nothing sensible.
        """

    def patience(self, raster: Raster) -> float:
        """Time (s) after which a line counts as hung."""

    def write(self, raster: Raster, origin: tuple[float, float]) -> Status:
        """Take a raster; done when it was read back as written.

        ``origin`` is where the coarse stage stands (µm): sample coordinates are coarse plus fine.
        """

    def held(self, raster: Raster, again: Callable[[], Status]) -> list[Held]:
        """What of its own has to hold while the raster is flown; ``again`` writes it anew."""

    def ready(self, flight: int, line: int, *, clean: bool) -> Status | None:
        """Do what comes before a launch.

        Without ``clean``, lines of an earlier flight may still be on their way. None: done.
        """

    def launch(self, flight: int, line: int) -> None:
        """Fly from this line on. It must not wait for anything."""

    def until_idle(self, timeout: float) -> Status | None:
        """Done when it is at rest by itself; None where it is."""

    def halt(self, needed: Sequence[Signal], patience: float) -> Move:
        """Halt; done when nothing moves and it, and what is needed, answer (within s)."""

    def halt_now(self) -> None:
        """Halt without waiting; raises `DeviceError` where the order cannot be given."""

    def doing(self, *, ask: bool) -> int:
        """A `ScannerState`, by the last monitor or asked from the server."""

    def how_to_halt(self) -> str:
        """What a user types to halt whoever flies."""
