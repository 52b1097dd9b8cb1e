"""The scanning transmission X-ray microscope: everything a stack needs, in one device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from ..optics import ZonePlateGeometry
from ..scan import Raster, Region, Scan
from ._asked import Asked
from ._base import answering, both
from ._counter import LineCounter, RingCurrent
from ._monochromator import Monochromator
from ._numbers import number
from ._optics import FocusedEnergy, OrderSortingAperture, ZonePlate, check_gap
from ._positioner import check_limits
from ._scanner import RasterScanner
from ._shutter import Shutter
from ._stage import SampleStage

__all__ = ["STXM", "Placement"]


@dataclass(frozen=True)
class Placement:
    """How a region is reached: coarse moves first (None: stay), then the raster."""

    coarse_x: float | None
    coarse_y: float | None
    raster: Raster


class STXM(Device):
    """Zone-plate STXM: monochromator, optics, stages, scanner, detectors, shutter.

    ``energy`` moves monochromator, EPU and focus together. `check_scan` is the interlock of
    a whole plan; the same checks guard each device's own ``set``.

    Parameters
    ----------
    prefix : str
        Start of every PV name. A beamline file replaces components one by one
        (`redoxscope.config`).
    geometry : redoxscope.optics.ZonePlateGeometry, optional
        Zone plate, aperture and A0. There is no default: until they are known, here, from the
        beamline file or by ``zone_plate.set_geometry``, neither energy nor optics move.
    """

    monochromator = Cpt(Monochromator, "Mono:", kind="normal", doc="photon energy")
    zone_plate = Cpt(ZonePlate, "ZP:", kind="normal", doc="zone plate")
    osa = Cpt(OrderSortingAperture, "OSA:", kind="normal", doc="order-sorting aperture")
    sample_stage = Cpt(SampleStage, "Sample:", kind="normal", doc="sample stage")
    scanner = Cpt(RasterScanner, "Scan:", kind="normal", doc="raster scanner")
    transmission = Cpt(LineCounter, "Trans:", kind="hinted", doc="transmitted photons")
    i0 = Cpt(LineCounter, "I0:", kind="normal", behind_shutter=False, doc="beam monitor")
    ring = Cpt(RingCurrent, "Ring:", kind="normal", doc="stored current")
    shutter = Cpt(Shutter, "Shutter:", kind="normal", doc="beam shutter")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        geometry: ZonePlateGeometry | None = None,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, **kwargs)
        if geometry is not None:
            self.zone_plate.set_geometry(geometry)
        self.energy = FocusedEnergy(
            name="energy",
            monochromator=self.monochromator,
            zone_plate=self.zone_plate,
            sample_z=self.sample_stage.z,
        )
        for counter in self.line_detectors:
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
    def line_detectors(self) -> list[LineCounter]:
        """Every counter that is gated by the scanner."""
        parts = (getattr(self, name) for name in self.component_names)
        return [part for part in parts if isinstance(part, LineCounter)]

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
        signals = list(self.scanner.source.signals)
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
        if scan.kind != "lines":
            raise ValueError(f"{self.name}: a scan of {scan.kind} is none of images")
        self.scanner.check_free()
        self._check_places(scan)
        energies = scan.all_energies
        offset = self.monochromator.offset_at(scan.edge)
        for energy in energies:
            self.monochromator.check_value(energy, offset=offset)
        self.zone_plate.check(energies, sample_z_um=self.sample_stage.z.here())
        self._check_osa_z(self.osa.z.here())
        for energy in (min(energies), max(energies)):
            self._check_zone_plate_z(self.energy.focus(energy))

    def _check_places(self, scan: Scan) -> None:
        """Check each region and dwell, from where the coarse stage will stand then."""
        stage = self.sample_stage
        at, seen = (stage.x.position, stage.y.position), set()
        for frame in scan.frames:
            step = frame.region, frame.dwell, at
            if step in seen:
                continue
            seen.add(step)
            region = scan.regions[frame.region]
            try:
                self.check_dwell(frame.dwell, region.pixels[0])
                placed = self.place(region, frame.dwell, at=at)
            except ValueError as exc:  # LimitError is one
                if len(scan.regions) == 1:
                    raise
                raise type(exc)(f"region {region.name!r}: {exc}") from exc
            x, y = placed.coarse_x, placed.coarse_y
            at = (at[0] if x is None else x, at[1] if y is None else y)

    def check_dwell(self, dwell: float, nx: int) -> None:
        """Refuse a dwell (s) or line length that the scanner cannot fly.

        Raises
        ------
        ValueError
        DeviceError
            The scanner does not say what it can fly.
        """
        limits = self.scanner.source.limits()
        name = self.scanner.name
        dwell = number(f"{name}.dwell", dwell, "s")
        if not limits.min_dwell <= dwell <= limits.max_dwell:
            low, high = limits.min_dwell, limits.max_dwell
            raise ValueError(f"{name}.dwell = {dwell} s is outside its range, {low} to {high} s")
        self.scanner.frame_time(nx, 1, dwell)  # that it says how long it takes
        if nx > limits.max_points:
            points = limits.max_points
            raise ValueError(f"{name}.nx = {nx} pixels is more than its limit, {points} of a line")
        self.shutter.check_open_time(nx * dwell, f"a line of {nx} pixels x {dwell:g} s")

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
        run_up = self.scanner.source.limits().run_up
        starts: list[float] = []
        coarse: list[float | None] = []
        stage = self.sample_stage
        before = (stage.x.position, stage.y.position) if at is None else at
        axes = zip("xy", region.extents, (run_up, 0.0), before, strict=True)
        for axis, (first, last), beyond, here in axes:
            motor = getattr(self.sample_stage, axis)
            fine = getattr(self.sample_stage, f"fine_{axis}")
            low, high = fine.limits
            check_limits(fine.name, low, (low, high), "µm")  # that there are any
            if low <= first - here - beyond and last - here + beyond <= high:
                coarse.append(None)
            else:
                here = (first + last) / 2 - (low + high) / 2
                motor.check_value(here)
                coarse.append(here)
            for edge in (first - here - beyond, last - here + beyond):
                check_limits(fine.name, edge, (low, high), "µm")
            starts += [first - here, last - here]
        nx, ny = region.pixels
        raster = Raster(starts[0], starts[1], nx, starts[2], starts[3], ny, dwell, retries)
        return Placement(coarse[0], coarse[1], raster)
