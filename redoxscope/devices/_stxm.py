"""The scanning transmission X-ray microscope: everything a stack needs, in one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from ..scan import Raster, Region, Scan
from ._asked import Asked
from ._base import answering, both
from ._bound import Bound
from ._counter import LineCounter, RingCurrent
from ._monochromator import Monochromator
from ._no_shutter import NoShutter
from ._numbers import number, zero_or_more
from ._optics import FocusedEnergy, OrderSortingAperture, ZonePlate, check_gap
from ._positioner import check_limits
from ._scanner import RasterScanner
from ._setting import Setting
from ._shutter import Shutter
from ._stage import SampleStage
from .roles import (
    CounterRole,
    EnergyRole,
    OSARole,
    RingRole,
    ScannerRole,
    ShutterRole,
    StageRole,
    ZonePlateRole,
    check_role,
)

__all__ = ["STXM", "Placement"]


@dataclass(frozen=True)
class Placement:
    """How a region is reached: coarse moves first (None: stay), then the raster."""

    coarse_x: float | None
    coarse_y: float | None
    raster: Raster


class STXM(Device):
    """Zone-plate STXM: monochromator, optics, stages, scanner, detectors, shutter.

    It is bound of devices that were made before, and is to bluesky the whole that they are parts
    of. ``energy`` moves monochromator, EPU and focus together. `check_scan` is the interlock of
    a whole plan; the same checks guard each device's own ``set``.

    Parameters
    ----------
    name : str
    monochromator : Monochromator
    zone_plate : ZonePlate
        Until its geometry is known (``zone_plate.set_geometry``), neither energy nor optics move.
    osa : OrderSortingAperture
    sample_stage : SampleStage
    scanner : RasterScanner
    transmission : LineCounter
        Behind the sample.
    ring : RingCurrent
    i0 : LineCounter, optional
        Beam monitor.
    shutter : Shutter, optional
        Without one the sample has beam all the time, and each plan says so.
    counters : mapping of str to LineCounter, optional
        Further ones that the scanner gates, by data key.
    flux : float
        Photons/s on the sample, for doses; 0: not known.

    Raises
    ------
    TypeError
        A device that lacks what its role asks for, which is named.
    ValueError
        One that is a part of another device, or of this one twice.

    Examples
    --------
    >>> stxm = STXM(                                            # doctest: +SKIP
    ...     name="stxm", monochromator=Monochromator("BL:Mono:", name="mono"), ...
    ... )
    """

    ROLES: Final[Mapping[str, type]] = {
        "monochromator": EnergyRole,
        "zone_plate": ZonePlateRole,
        "osa": OSARole,
        "sample_stage": StageRole,
        "scanner": ScannerRole,
        "transmission": CounterRole,
        "i0": CounterRole,
        "ring": RingRole,
        "shutter": ShutterRole,
    }
    """What each of its parts must be able to do."""

    monochromator: Monochromator
    zone_plate: ZonePlate
    osa: OrderSortingAperture
    sample_stage: SampleStage
    scanner: RasterScanner
    transmission: LineCounter
    i0: LineCounter
    ring: RingCurrent
    shutter: Shutter
    energy: FocusedEnergy
    bound: dict[str, Any]
    line_detectors: list[LineCounter]
    """Every counter that is gated by the scanner."""

    flux = Cpt(
        Setting, value=0.0, check=zero_or_more, unit="photons/s", kind="config",
        doc="on the sample, for doses; 0: not known",
    )  # fmt: skip

    def __new__(cls, *, counters: Mapping[str, Any] | None = None, **parts: Any) -> STXM:
        """Of a class that has the parts that are given: to ophyd, parts are the class's."""
        given = {key: type(part) for key, part in parts.items() if part is not None}
        classes = {key: given[key] for key in cls.ROLES if key in given}
        classes.setdefault("shutter", NoShutter)
        classes |= {key: type(part) for key, part in (counters or {}).items()}
        bound = {
            key: Bound(part, kind="hinted" if key == "transmission" else "normal", doc=key)
            for key, part in classes.items()
        }
        made = type(cls.__name__, (cls,), {"__module__": cls.__module__, **bound})
        return super().__new__(made)

    def __init__(
        self,
        *,
        name: str,
        monochromator: Any,
        zone_plate: Any,
        osa: Any,
        sample_stage: Any,
        scanner: Any,
        transmission: Any,
        ring: Any,
        i0: Any = None,
        shutter: Any = None,
        counters: Mapping[str, Any] | None = None,
        flux: float = 0.0,
        **kwargs: Any,
    ):
        parts = {
            "monochromator": monochromator, "zone_plate": zone_plate, "osa": osa,
            "sample_stage": sample_stage, "scanner": scanner, "transmission": transmission,
            "i0": i0, "ring": ring, "shutter": shutter,
        }  # fmt: skip
        if shutter is None:
            parts["shutter"] = NoShutter(name=f"{name}_shutter")
        self.bound = {key: part for key, part in parts.items() if part is not None}
        for key, part in self.bound.items():
            check_role(name, key, part, self.ROLES[key])
        for key, part in (counters or {}).items():
            check_role(name, key, part, CounterRole)
            self.bound[key] = part
        counted = ["transmission", *(["i0"] if i0 is not None else []), *(counters or {})]
        super().__init__("", name=name, **kwargs)
        self.flux.put(flux)
        self.line_detectors = [getattr(self, key) for key in counted]
        self.energy = FocusedEnergy(
            name="energy",
            monochromator=self.monochromator,
            zone_plate=self.zone_plate,
            sample_z=self.sample_stage.z,
        )
        for key, counter in zip(counted, self.line_detectors, strict=True):
            counter.record_as(key)
            counter.attach(self.shutter)
        self.zone_plate.z.guard(self._check_zone_plate_z)
        self.osa.z.guard(self._check_osa_z)
        self.sample_stage.z.guard(self._check_sample_z)
        self.scanner.guard(self._check_raster)
        self.scanner.attach(
            self.line_detectors,
            {"energy": self.monochromator.energy, self.ring.field: self.ring.current},
            self.shutter,
            Asked(
                self.monochromator,
                self.zone_plate.z,
                self.sample_stage.x,
                self.sample_stage.y,
                [self.sample_stage.z, self.osa.x, self.osa.y, self.osa.z],
            ),
            (self.sample_stage.fine_x, self.sample_stage.fine_y),
        )

    def destroy(self) -> None:
        self.shutter.disown()  # ophyd destroys the signals of a part, not the part
        super().destroy()

    @property
    def fixed_parts(self) -> list[Device]:
        """What stands still while an image is flown: zone plate, aperture, sample stage."""
        return [self.zone_plate, self.osa, self.sample_stage]

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a move or a raster failed for lack of an answer; else None.

        Returns
        -------
        ophyd.status.Status or None
            Done when all that such a move asks answers again; fails with `DeviceError` when it
            does not within ``scanner.outage`` seconds.
        """
        stage = self.sample_stage
        motors = (self.zone_plate.z, self.osa.z, stage.z, stage.x, stage.y)
        signals = list(self.scanner.source.signals())
        signals += [sig for motor in motors for sig in (motor.user_readback, motor.user_setpoint)]
        signals += self.monochromator.pair
        return answering(self.name, signals, error, self.scanner.outage.get())

    def trigger(self) -> Status:
        """Count a point with every counter; see `LineCounter.trigger`."""
        return both(*(counter.trigger() for counter in self.line_detectors))

    def pause(self) -> None:
        """Abandon the point; the plan measures it again."""
        for counter in self.line_detectors:
            counter.pause()

    def resume(self) -> None:
        """Nothing: the plan triggers again."""

    def _check_zone_plate_z(self, z_um: float) -> None:
        self.zone_plate.check_set()
        gap = self.osa.z.here() - z_um
        check_gap(self.zone_plate.z.name, z_um, "zone plate and order-sorting aperture", gap)

    def _check_osa_z(self, z_um: float) -> None:
        self.zone_plate.check_set()
        name, sample = self.osa.z.name, self.zone_plate.a0.get() + self.sample_stage.z.here()
        check_gap(name, z_um, "order-sorting aperture and sample", sample - z_um)
        gap = z_um - self.zone_plate.z.here()
        check_gap(name, z_um, "zone plate and order-sorting aperture", gap)

    def _check_sample_z(self, z_um: float) -> None:
        self.zone_plate.check_set()
        # The gap only: with A0 outside its window the sample must still be able to retreat.
        gap = self.zone_plate.a0.get() + z_um - self.osa.z.here()
        check_gap(self.sample_stage.z.name, z_um, "order-sorting aperture and sample", gap)

    def _check_raster(self, raster: Raster) -> None:
        self.check_dwell(raster.dwell, raster.nx)
        beyond = self.scanner.source.limits().run_up
        for axis, first, last, more in (
            ("x", raster.x_start, raster.x_stop, beyond),
            ("y", raster.y_start, raster.y_stop, 0.0),
        ):
            fine = getattr(self.sample_stage, f"fine_{axis}")
            for end in (min(first, last) - more, max(first, last) + more):
                check_limits(fine.name, end, fine.limits, "µm")

    def check_scan(self, scan: Scan) -> None:
        """Check a whole scan of images against limits and geometry, from what the devices say now.

        Raises
        ------
        ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
            Naming device, value, limit and unit, and the region where there are several. Nothing
            has moved.
        BeamlineBusyError
            Somebody else measures.
        """
        for check in self.checks(scan):
            check()

    def checks(self, scan: Scan) -> Iterator[Callable[[], Any]]:
        """What `check_scan` does, check by check: each raises what speaks against the scan.

        Whoever wants to know all that does goes on after one has raised.

        Raises
        ------
        ValueError
            It is no scan of images.
        """
        if scan.kind != "lines":
            raise ValueError(f"{self.name}: a scan of {scan.kind} is none of images")
        yield self.scanner.check_free
        yield from self._place_checks(scan)
        energies = scan.all_energies
        offset = self.monochromator.offset_at(scan.edge)
        for energy in energies:
            yield partial(self.monochromator.check_value, energy, offset=offset)
        sample_z: list[float] = []
        yield lambda: sample_z.append(self.sample_stage.z.here())
        for energy in sorted(energies):  # the lowest first: it decides where the aperture may be
            yield partial(self._check_focus, energy, sample_z)
        yield lambda: self._check_osa_z(self.osa.z.here())
        for energy in (min(energies), max(energies)):
            yield partial(self._check_focused, energy)

    def _check_focus(self, energy: float, sample_z: list[float]) -> None:
        for z in sample_z:  # none where it did not answer, which was raised before
            self.zone_plate.check([energy], sample_z_um=z)

    def _check_focused(self, energy: float) -> None:
        self._check_zone_plate_z(self.energy.focus(energy))

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
        """Refuse a dwell (s) or line length that the scanner cannot fly.

        Raises
        ------
        ValueError
        DeviceError
            The scanner does not say what it can fly.
        """
        for check in self._dwell_checks(dwell, nx):
            check()

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of what plans are given, by the parameter: ``dwell`` (s), energies (eV).

        Raises
        ------
        DeviceError
            The scanner does not say what it can fly.
        """
        limits = self.scanner.source.limits()
        dwell = (limits.min_dwell, limits.max_dwell)
        return {**self.monochromator.parameter_limits(), "dwell": dwell}

    def place(
        self,
        region: Region,
        dwell: float,
        *,
        retries: int = 1,
        at: tuple[float, float] | None = None,
    ) -> Placement:
        """Where the stages go for a region: the fine stage alone where its range suffices.

        Parameters
        ----------
        region : Region
        dwell : float
            Time per pixel (s).
        retries : int
        at : tuple of float, optional
            Where the coarse stage stands before (x, y; µm); by default, where it stands now.

        Raises
        ------
        ophyd.utils.LimitError
            The region, with the run-up beyond its lines, leaves the limits of a stage.
        """
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
        if not (low <= first - here - beyond and last - here + beyond <= high):
            target = here = (first + last) / 2 - (low + high) / 2
            motor.check_value(here)
        for edge in (first - here - beyond, last - here + beyond):
            check_limits(fine.name, edge, (low, high), "µm")
        there[axis] = here
        return target


def _in_region(name: str, check: Callable[[], Any]) -> None:
    """Run a check; what it raises names the region."""
    try:
        check()
    except ValueError as exc:  # LimitError is one
        raise type(exc)(f"region {name!r}: {exc}") from exc
