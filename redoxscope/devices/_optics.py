"""Zone plate and order-sorting aperture, and the energy that takes the focus with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.status import Status

from ..optics import MIN_GAP_UM, InterlockError, ZonePlateGeometry, check_focus, focus_z
from ._base import BeamlineDevice, both, pv
from ._monochromator import Monochromator
from ._motor import Motor

__all__ = ["FocusedEnergy", "OrderSortingAperture", "ZonePlate"]


class _Length(Signal):
    """Soft signal for a length that must be a positive number."""

    def check_value(self, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            raise InterlockError(
                f"{self.parent.name}.{self.attr_name} = {value} must be a positive number"
            )


class ZonePlate(BeamlineDevice):
    """Fresnel zone plate: its geometry and the motor along the beam.

    Zero of ``z`` is the plane of the order-sorting aperture; the sample is in focus at
    ``z = -(A1·E - A0)`` (µm), so ``z`` is negative and more so at higher energy. Converters
    for motors whose zero is the sample plane are in `redoxscope.optics`.
    """

    z = pv(Motor, "Z", kind="normal", tolerance=0.5, doc="µm, 0 = OSA plane, negative upstream")
    diameter = Cpt(_Length, value=240.0, kind="config", doc="D (µm)")
    outer_zone = Cpt(_Length, value=45.0, kind="config", doc="outermost zone width Δr (nm)")
    central_stop = Cpt(_Length, value=95.0, kind="config", doc="central stop diameter (µm)")
    osa_diameter = Cpt(_Length, value=50.0, kind="config", doc="OSA pinhole diameter (µm)")
    a0 = Cpt(_Length, value=400.0, kind="config", doc="distance OSA to sample (µm)")
    a1 = Cpt(_Length, value=8.7108, kind="config", doc="focal length per energy (µm/eV)")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        geometry: ZonePlateGeometry | None = None,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        if geometry is not None:
            self.diameter.put(geometry.diameter_um)
            self.outer_zone.put(geometry.outer_zone_nm)
            self.central_stop.put(geometry.central_stop_um)
            self.osa_diameter.put(geometry.osa_diameter_um)
            self.a0.put(geometry.a0_um)
            self.a1.put(geometry.a1_um_per_ev)
        self.z.guard(self._check_z)

    @property
    def geometry(self) -> ZonePlateGeometry:
        """The geometry as the signals say it now.

        Raises
        ------
        redoxscope.optics.InterlockError
            A length that is not a positive number.
        """
        return ZonePlateGeometry(
            diameter_um=self.diameter.get(),
            outer_zone_nm=self.outer_zone.get(),
            central_stop_um=self.central_stop.get(),
            osa_diameter_um=self.osa_diameter.get(),
            a0_um=self.a0.get(),
            a1_um_per_ev=self.a1.get(),
        )

    def _check_z(self, z_um: float) -> None:
        check_gap(self.z.name, z_um, "zone plate and order-sorting aperture", -z_um)

    def check(self, energies: Sequence[float], *, sample_z_um: float = 0.0) -> None:
        """Refuse energies (eV) at which zone plate, OSA and sample would meet.

        Raises
        ------
        redoxscope.optics.InterlockError
            Names the device, the value, the limit and the unit.
        """
        check_focus(self.geometry, energies, z_limits=self.z.limits, sample_z_um=sample_z_um)


def check_gap(name: str, position_um: float, between: str, gap_um: float) -> None:
    """Refuse a position that leaves less than the smallest gap; NaN too.

    Raises
    ------
    redoxscope.optics.InterlockError
    """
    if not gap_um >= MIN_GAP_UM:
        raise InterlockError(
            f"{name} = {position_um:.6g} µm leaves {gap_um:.6g} µm between {between}, "
            f"below {MIN_GAP_UM:g} µm"
        )


class OrderSortingAperture(BeamlineDevice):
    """Order-sorting aperture on its three motors (µm); z = 0 is the plane that A0 refers to."""

    x = pv(Motor, "X", kind="normal", doc="µm")
    y = pv(Motor, "Y", kind="normal", doc="µm")
    z = pv(Motor, "Z", kind="normal", doc="µm")


class FocusedEnergy(Device):
    """Photon energy with the focus following it: monochromator, EPU and zone plate at once.

    Reads as the true photon energy, key ``energy`` (eV).
    """

    def __init__(
        self,
        *,
        name: str,
        monochromator: Monochromator,
        zone_plate: ZonePlate,
        sample_z: Motor | None = None,
        **kwargs: Any,
    ):
        super().__init__("", name=name, **kwargs)
        self.monochromator = monochromator
        self.zone_plate = zone_plate
        self._sample_z = sample_z

    @property
    def position(self) -> float:
        """True photon energy (eV)."""
        return self.monochromator.position

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": ["energy"]}

    def read(self) -> dict[str, Any]:
        return self.monochromator.energy.read()

    def describe(self) -> dict[str, Any]:
        return self.monochromator.energy.describe()

    def check_value(self, energy: float) -> None:
        """Refuse an energy (eV) against limits or geometry, before anything moves."""
        self.monochromator.check_value(energy)
        sample_z = 0.0 if self._sample_z is None else self._sample_z.position
        self.zone_plate.check([energy], sample_z_um=sample_z)

    def focus(self, energy: float) -> float:
        """Zone plate position (µm) that focuses on the sample where it stands at an energy (eV)."""
        sample_z = 0.0 if self._sample_z is None else self._sample_z.position
        return focus_z(self.zone_plate.geometry, energy) + sample_z

    def set(self, energy: float) -> Status:
        """Move to a true photon energy (eV), in focus.

        Raises
        ------
        redoxscope.optics.InterlockError, ophyd.utils.LimitError
            Before anything moves.
        """
        self.check_value(energy)
        focus = self.focus(energy)
        moved = self.monochromator.set(energy)
        try:
            return both(moved, self.zone_plate.z.set(focus))
        except Exception:
            self.monochromator.stop(success=True)
            raise

    def at(self, energy: float) -> bool:
        """Whether everything stands where a true energy (eV) is in focus."""
        off = abs(self.zone_plate.z.position - self.focus(energy))
        return self.monochromator.at(energy) and off <= self.zone_plate.z.tolerance

    def stop(self, *, success: bool = False) -> None:
        try:
            self.monochromator.stop(success=success)
        finally:  # one that does not answer must not keep the other moving
            self.zone_plate.z.stop(success=success)
