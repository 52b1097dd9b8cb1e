"""The scanning transmission X-ray microscope: everything a stack needs, in one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from ...scan import Region, Scan
from .._asked import Asked
from .._base import answering, both
from .._counter import LineCounter, RingCurrent
from .._focus_axis import FocusAxis
from .._monochromator import Monochromator
from .._no_shutter import NoShutter
from .._numbers import finite, zero_or_more
from .._optics import FocusedEnergy, OrderSortingAperture, ZonePlate
from .._setting import Setting
from .._shutter import Shutter
from .._stage import DetectorStage, SampleStage
from ..roles import (
    CounterRole,
    DetectorStageRole,
    EnergyRole,
    OSARole,
    RingRole,
    ScannerRole,
    ShutterRole,
    StageRole,
    ZonePlateRole,
    check_role,
)
from ..scanner import RasterScanner
from ._bound import Bound
from ._interlock import Interlock, Placement

__all__ = ["STXM"]


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
    detector_stage : DetectorStage, optional
        Moves the detector behind the sample across the beam, for `detector_image`.
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
        "detector_stage": DetectorStageRole,
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
    detector_stage: DetectorStage
    energy: FocusedEnergy
    focus: FocusAxis
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
        detector_stage: Any = None,
        counters: Mapping[str, Any] | None = None,
        flux: float = 0.0,
        **kwargs: Any,
    ):
        parts = {
            "monochromator": monochromator, "zone_plate": zone_plate, "osa": osa,
            "sample_stage": sample_stage, "scanner": scanner, "transmission": transmission,
            "i0": i0, "ring": ring, "shutter": shutter, "detector_stage": detector_stage,
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
        self._defocus = Setting(name=f"{name}_defocus", value=0.0, check=finite, unit="um")
        self.energy = FocusedEnergy(
            name="energy",
            monochromator=self.monochromator,
            zone_plate=self.zone_plate,
            sample_z=self.sample_stage.z,
            defocus=self._defocus,
        )
        self.focus = FocusAxis(self.energy, self._defocus, self.osa.z)
        self._interlock = Interlock(
            self.monochromator,
            self.zone_plate,
            self.osa,
            self.sample_stage,
            self.energy,
            self.name,
            self.scanner,
            self.shutter,
        )
        self._interlock.guard()
        for key, counter in zip(counted, self.line_detectors, strict=True):
            counter.record_as(key)
            counter.attach(self.shutter)
        self.scanner.guard(self._interlock.check_raster)
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
        with ExitStack() as steps:  # one that fails keeps none from hanging up
            steps.callback(super().destroy)
            for part in self.bound.values():  # ophyd destroys the signals of a part, not the part
                steps.callback(part.destroy)
            steps.callback(self.shutter.disown)

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

    def stage(self) -> list[object]:
        """As ophyd; each run begins in focus, also after one that was halted off it."""
        self._defocus.put(0.0)
        return list(super().stage())

    def trigger(self) -> Status:
        """Count a point with every counter; see `LineCounter.trigger`."""
        return both(*(counter.trigger() for counter in self.line_detectors))

    def pause(self) -> None:
        """Abandon the point; the plan measures it again."""
        for counter in self.line_detectors:
            counter.pause()

    def resume(self) -> None:
        """Nothing: the plan triggers again."""

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
        return self._interlock.checks(scan)

    def check_dwell(self, dwell: float, nx: int) -> None:
        """Refuse a dwell (s) or line length that the scanner cannot fly.

        Raises
        ------
        ValueError
        DeviceError
            The scanner does not say what it can fly.
        """
        self._interlock.check_dwell(dwell, nx)

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
        return self._interlock.place(region, dwell, retries=retries, at=at)
