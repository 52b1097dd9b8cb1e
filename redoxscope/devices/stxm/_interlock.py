"""What a microscope may do: geometry and limits, for each move and for a whole scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ophyd.utils import LimitError

from ...scan import Raster, Region, Scan
from .._geometry import Geometry
from .._numbers import number
from .._positioner import check_limits
from .._shutter import Shutter
from ..scanner import RasterScanner

__all__ = ["Interlock", "Placement"]


@dataclass(frozen=True)
class Placement:
    """How a region is reached: coarse moves first (None: stay), then the raster."""

    coarse_x: float | None
    coarse_y: float | None
    raster: Raster


@dataclass(frozen=True)
class Interlock(Geometry):
    """Limits and geometry of the parts of a microscope, from what they say now.

    The same checks guard each device's own ``set`` and, as `checks`, a whole scan before its
    first move. What speaks against it is raised, with device, value, limit and unit.
    """

    name: str
    scanner: RasterScanner
    shutter: Shutter

    def check_raster(self, raster: Raster) -> None:
        """Refuse a raster that the scanner cannot fly, or that leaves the fine stage."""
        self.check_dwell(raster.dwell, raster.nx)
        beyond = self.scanner.source.limits().run_up
        for axis, first, last, more in (
            ("x", raster.x_start, raster.x_stop, beyond),
            ("y", raster.y_start, raster.y_stop, 0.0),
        ):
            fine = getattr(self.sample_stage, f"fine_{axis}")
            for end in (min(first, last) - more, max(first, last) + more):
                check_limits(fine.name, end, fine.limits, "µm")

    def checks(self, scan: Scan) -> Iterator[Callable[[], Any]]:
        """As `STXM.checks`."""
        if scan.exposures:
            raise ValueError(f"{self.name}: a scan of {scan.kind} is none of images")
        yield self.scanner.check_free
        if scan.points:
            yield self.shutter.check_holds
        yield from self._place_checks(scan)
        for dwell in dict.fromkeys(point.dwell for point in scan.points):
            yield partial(self.shutter.check_open_time, dwell, f"a point of {self.name}")
        yield from self.energy_checks(scan.all_energies, scan.edge)

    def _place_checks(self, scan: Scan) -> Iterator[Callable[[], Any]]:
        """Checks of each region and dwell, from where the coarse stage will stand then."""
        stage = self.sample_stage
        at = float(stage.x.position), float(stage.y.position)
        ends: dict[Any, list[float]] = {}  # of each step that was looked at: where it goes
        for frame in scan.frames:
            step = frame.region, frame.dwell, at
            if step in ends:
                at = ends[step][0], ends[step][1]
                continue
            region, several = scan.regions[frame.region], len(scan.regions) > 1
            there = ends[step] = list(at)
            checks = self._dwell_checks(frame.dwell, region.pixels[0])
            for axis in (0, 1):
                checks.append(partial(self._place_axis, region, axis, at[axis], there))
            for check in checks:
                yield partial(_in_region, region.name, check) if several else check
            at = (there[0], there[1])

    def _dwell_checks(self, dwell: float, nx: int) -> list[Callable[[], Any]]:
        limits, name = self.scanner.source.limits(), self.scanner.name
        dwell = number(f"{name}.dwell", dwell, "s")

        def of_dwell() -> None:
            low, high = limits.min_dwell, limits.max_dwell
            if not low <= dwell <= high:
                text = f"{name}.dwell = {dwell} s is outside its range, {low} to {high} s"
                raise ValueError(text)
            self.scanner.frame_time(nx, 1, dwell)  # that it says how long it takes

        def of_line() -> None:
            if nx > limits.max_points:
                most = limits.max_points
                raise ValueError(
                    f"{name}.nx = {nx} pixels is more than its limit, {most} of a line"
                )

        line = f"a line of {nx} pixels x {dwell:g} s"
        return [of_dwell, of_line, partial(self.shutter.check_open_time, nx * dwell, line)]

    def check_dwell(self, dwell: float, nx: int) -> None:
        """As `STXM.check_dwell`."""
        for check in self._dwell_checks(dwell, nx):
            check()

    def place(
        self,
        region: Region,
        dwell: float,
        *,
        retries: int = 1,
        at: tuple[float, float] | None = None,
    ) -> Placement:
        """As `STXM.place`."""
        stage = self.sample_stage
        here = [stage.x.position, stage.y.position] if at is None else list(at)
        coarse = [self._place_axis(region, axis, here[axis], here) for axis in (0, 1)]
        (x0, x1), (y0, y1) = region.extents
        nx, ny = region.pixels
        raster = Raster(
            x0 - here[0], x1 - here[0], nx, y0 - here[1], y1 - here[1], ny, dwell, retries
        )
        return Placement(coarse[0], coarse[1], raster)

    def _place_axis(
        self, region: Region, axis: int, here: float, there: list[float]
    ) -> float | None:
        """Where the coarse stage goes along x (0) or y (1), None to stay; ``there`` is told."""
        name = "xy"[axis]
        motor, fine = (getattr(self.sample_stage, part) for part in (name, f"fine_{name}"))
        first, last = region.extents[axis]
        beyond = self.scanner.source.limits().run_up if axis == 0 else 0.0
        low, high = fine.limits
        check_limits(fine.name, low, (low, high), "µm")  # that there are any
        target = None
        try:
            if not (low <= first - here - beyond and last - here + beyond <= high):
                target = here = (first + last) / 2 - (low + high) / 2
                motor.check_value(here)
            for edge in (first - here - beyond, last - here + beyond):
                check_limits(fine.name, edge, (low, high), "µm")
        except LimitError as exc:  # of a place that nobody typed
            size = region.size[axis]
            large = last - first + 2 * beyond > high - low and region.pixels[1] > 1
            raise LimitError(
                f"{size:g} µm along {name}, around {region.center[axis]:g} µm: {exc}"
                + ("; tiled_image takes areas larger than the fine stage" if large else "")
            ) from exc
        there[axis] = here
        return target


def _in_region(name: str, check: Callable[[], Any]) -> None:
    """Run a check; what it raises names the region."""
    try:
        check()
    except ValueError as exc:  # LimitError is one
        raise type(exc)(f"region {name!r}: {exc}") from exc
