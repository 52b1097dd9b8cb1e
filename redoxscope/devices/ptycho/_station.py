"""The ptychography station: optics, stage, path and camera bound together."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from ophyd import Component as Cpt
from ophyd.status import Status

from ...scan import Exposures, Role, Scan
from .._asked import Asked
from .._base import OUTAGE, answering, ask, logged, then
from .._geometry import Geometry
from .._no_shutter import NoShutter
from .._numbers import positive
from .._optics import FocusedEnergy
from .._setting import Setting
from ..roles import (
    CameraRole,
    CounterRole,
    EnergyRole,
    OSARole,
    PathRole,
    RingRole,
    StageRole,
    TimedShutterRole,
    ZonePlateRole,
    check_role,
)
from ._blocks import TakesBlocks
from ._conditions import BlockConditions
from ._detector import FrameNumbers, FrameSettings
from ._reach import placed, placed_part

__all__ = ["PtychoStation"]

log = logging.getLogger("redoxscope.devices")


class PtychoStation(TakesBlocks, FrameSettings):
    """Binds what ptychography needs; it has no PV of its own.

    A plan sets ``energy`` and shutter, puts the coarse stage where `place` says, and takes
    blocks of frames: `prepare`, `trigger`, read. The optics have the microscope's interlock.

    Parameters
    ----------
    name : str
    monochromator, zone_plate, osa, sample_stage : device
        As of `redoxscope.devices.STXM`, whose parts they may be.
    camera : AreaDetectorCamera
    path : PathScanner
    shutter : Shutter, optional
        Without one the sample has beam all the time, and no dark frames can be taken.
    i0 : LineCounter, optional
        Beam monitor upstream of the shutter; it counts for as long as a block should take.
    ring : RingCurrent, optional
    numbers : FrameNumbers, optional
        What the beamline file says of the camera and where it stands.

    Raises
    ------
    TypeError
        A device that lacks what its role asks for, which is named.
    ValueError
        A beam monitor behind the shutter.

    Attributes
    ----------
    energy : FocusedEnergy
        Photon energy (eV), with the zone plate ``defocus`` away from where it focuses.
    taken : TakenBlock or None
    """

    ROLES: Final[Mapping[str, type]] = {
        "energy": EnergyRole,
        "zone_plate": ZonePlateRole,
        "osa": OSARole,
        "sample_stage": StageRole,
        "camera": CameraRole,
        "path": PathRole,
        "shutter": TimedShutterRole,
        "i0": CounterRole,
        "ring": RingRole,
    }
    """What each of its parts must be able to do."""

    outage = Cpt(
        Setting, value=OUTAGE, check=positive, unit="s", kind="config",
        doc="longest time to wait for PVs that do not answer",
    )  # fmt: skip

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        monochromator: Any,
        zone_plate: Any,
        osa: Any,
        sample_stage: Any,
        camera: Any,
        path: Any,
        shutter: Any = None,
        i0: Any = None,
        ring: Any = None,
        numbers: FrameNumbers | None = None,
        flux: float = 0.0,
        **kwargs: Any,
    ):
        bound = {
            "energy": monochromator, "zone_plate": zone_plate, "osa": osa,
            "sample_stage": sample_stage, "camera": camera, "path": path, "shutter": shutter,
            "i0": i0, "ring": ring,
        }  # fmt: skip
        for role, part in bound.items():
            if part is not None:
                check_role(name, role, part, self.ROLES[role])
        if i0 is not None and i0.behind_shutter:
            raise ValueError(
                f"{name}.i0 = {i0.name!r} is behind the shutter, which opens and closes with each "
                "path: a monitor upstream of it is needed (behind_shutter: false)"
            )
        super().__init__(prefix, name=name, **kwargs)
        self.monochromator, self.zone_plate, self.osa = monochromator, zone_plate, osa
        self.sample_stage, self.camera, self.path = sample_stage, camera, path
        self.i0, self.ring = i0, ring
        self.shutter = NoShutter(name=f"{name}_shutter") if shutter is None else shutter
        self.flux.put(flux)
        self.set_numbers(numbers or FrameNumbers())
        self.energy = FocusedEnergy(
            name=f"{name}_energy",
            monochromator=monochromator,
            zone_plate=zone_plate,
            sample_z=sample_stage.z,
            defocus=self.defocus,
        )
        self._geometry = Geometry(monochromator, zone_plate, osa, sample_stage, self.energy)
        self._geometry.guard()
        others = [sample_stage.z, osa.x, osa.y, osa.z]
        asked = Asked(monochromator, zone_plate.z, sample_stage.x, sample_stage.y, others)
        self.conditions = BlockConditions(asked, self.shutter, ring)

    # -- checks ----------------------------------------------------------------------------

    def check_scan(self, scan: Scan) -> None:
        """Check a whole scan of exposures against limits and geometry, from what devices say now.

        Raises
        ------
        ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
            Naming device, value, limit and unit. Nothing has moved.
        DeviceError
            The camera cannot write its frames, or somebody else measures (`BeamlineBusyError`).
        """
        for check in self.checks(scan):
            check()

    def checks(self, scan: Scan) -> Iterator[Callable[[], Any]]:
        """What `check_scan` does, check by check: each raises what speaks against the scan.

        Raises
        ------
        ValueError
            It is no scan of exposures.
        """
        if scan.kind != "exposures":
            raise ValueError(f"{self.name}: a scan of {scan.kind} is none of exposures")
        yield self.shutter.check_free
        yield self.path.check_free
        yield partial(self.camera.check_exposures, scan.exposures)
        yield partial(self.info, scan.all_energies)
        for times in dict.fromkeys(part.times for part in scan.exposures):
            yield partial(self.path.check_path, 1, times)
            one = self.path.time_to(1, times, self.settle.get())
            yield partial(self.shutter.check_open_time, one, "one place")
        if self.shutter.blade is None and any(p.role is Role.DARK for p in scan.exposures):
            yield self._no_dark
        at = float(self.sample_stage.x.position), float(self.sample_stage.y.position)
        seen: dict[Any, tuple[float, float]] = {}
        for part in scan.exposures:
            step = part.positions, at
            if step not in seen:
                there = list(at)
                for axis in (0, 1):
                    yield partial(placed, self.sample_stage, part.positions, axis, at[axis], there)
                seen[step] = (there[0], there[1])
            at = seen[step]
        yield from self._geometry.energy_checks(scan.all_energies, scan.edge)

    def _no_dark(self) -> None:
        raise ValueError(
            f"{self.name}: the scan has dark frames, and the beamline has no shutter to close for "
            "them"
        )

    def place(
        self, part: Exposures, *, at: tuple[float, float] | None = None
    ) -> tuple[float | None, float | None]:
        """Where the coarse stage goes for a part (x, y; µm); None: it stays.

        Parameters
        ----------
        part : Exposures
        at : tuple of float, optional
            Where it stands before; by default, where it stands now.

        Raises
        ------
        ophyd.utils.LimitError
            A place is out of reach of the stages.
        """
        return placed_part(self.sample_stage, part, at)

    def parameter_limits(self) -> dict[str, tuple[float, float]]:
        """Limits of what plans are given, by the parameter: energies (eV)."""
        known: dict[str, tuple[float, float]] = self.monochromator.parameter_limits()
        return {name: pair for name, pair in known.items() if name == "energies"}

    # -- a run -----------------------------------------------------------------------------

    @property
    def parts(self) -> list[Any]:
        """What is read into each event besides the station."""
        return [self.energy, *(one for one in (self.i0, self.ring) if one is not None)]

    def stage(self) -> Status:
        """Have the camera open its file; a new run's beam is another's."""
        super().stage()
        self.taken = None
        self.conditions.begin_run()
        status: Status = self.camera.stage()
        return status

    def unstage(self) -> Status:
        """End what is under way, have the camera close its file, and the monitor's dwell back."""
        self.pause()
        logged(log, self.name, self._give_back)
        self.conditions.release()
        super().unstage()
        status: Status = self.camera.unstage()
        return status

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a block failed for lack of an answer; else None.

        A path that went on meanwhile is ended, before the shutter follows for the next.
        """
        stage = self.sample_stage
        motors = (self.zone_plate.z, self.osa.z, stage.z, stage.x, stage.y)
        signals = [*self.camera.signals(), *self.path.signals(), *self.monochromator.pair]
        signals += [sig for motor in motors for sig in (motor.user_readback, motor.user_setpoint)]
        signals += [] if self.shutter.blade is None else [self.shutter.blade, self.shutter.mode]
        back = answering(self.name, signals, error, self.outage.get())
        return None if back is None else then(back, self.path.end_left)

    def destroy(self) -> None:
        """Nothing must hold any more; its parts are destroyed by whom they belong to."""
        self.conditions.release()
        super().destroy()

    # -- readings --------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """The block that was taken last, and where the zone plate is.

        Raises
        ------
        DeviceError
            None was taken.
        TimeoutError
            The zone plate does not answer.
        """
        found = {
            key: {"value": value, "timestamp": self._at}
            for key, value in self.block_values().items()
        }
        z = {"value": float(ask(self.zone_plate.z.user_readback)), "timestamp": time.time()}
        return {**found, "zone_plate_z": z}

    def describe(self) -> dict[str, Any]:
        source = f"PV:{self.zone_plate.z.user_readback.pvname}"
        z = {"dtype": "number", "dtype_numpy": "<f8", "shape": [], "source": source, "units": "um"}
        return {**self.block_keys(), "zone_plate_z": z}

    def read_configuration(self) -> dict[str, Any]:
        """Its own numbers, and those of camera and zone plate."""
        own = dict(super().read_configuration())
        return {
            **own,
            **self.camera.read_configuration(),
            **self.zone_plate.read_configuration(),
        }

    def describe_configuration(self) -> dict[str, Any]:
        own = dict(super().describe_configuration())
        return {
            **own,
            **self.camera.describe_configuration(),
            **self.zone_plate.describe_configuration(),
        }
