"""Zone plate and order-sorting aperture, and the energy that takes the focus with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.status import Status

from ..optics import MIN_GAP_UM, InterlockError, ZonePlateGeometry, check_focus, focus_z
from ._base import BeamlineDevice, both, pv, typed
from ._monochromator import Monochromator
from ._motor import Motor
from ._numbers import number, positive
from ._positioner import Positioner, common_limits
from ._watched import Way, watchable

__all__ = ["FocusedEnergy", "OrderSortingAperture", "ZonePlate"]


class _Length(Signal):
    """Soft signal for a length that must be a positive number; NaN until it is set."""

    def check_value(self, value: float) -> None:
        try:
            positive(value)
        except ValueError as exc:
            raise InterlockError(
                f"{self.parent.name}.{self.attr_name} = {value!r} must be a positive number"
            ) from exc

    def put(self, value: float, **kwargs: Any) -> None:
        self.check_value(value)
        super().put(positive(value), **kwargs)


def _length(doc: str) -> Cpt:
    return Cpt(_Length, value=math.nan, kind="config", doc=doc)


class ZonePlate(BeamlineDevice):
    """Fresnel zone plate: its geometry and the motor along the beam.

    Zero of ``z`` is the plane of the order-sorting aperture; the sample is in focus at
    ``z = -(A1·E - A0)`` (µm), so ``z`` is negative and more so at higher energy. Converters
    for motors whose zero is the sample plane are in `redoxscope.optics`.

    Parameters
    ----------
    geometry : redoxscope.optics.ZonePlateGeometry, optional
        Until it is given, here or with `set_geometry`, nothing that depends on it moves.
    """

    z = pv(Motor, "Z", kind="normal", tolerance=0.5, doc="µm, 0 = OSA plane, negative upstream")
    diameter = _length("D (µm)")
    outer_zone = _length("outermost zone width Δr (nm)")
    central_stop = _length("central stop diameter (µm)")
    osa_diameter = _length("OSA pinhole diameter (µm)")
    a0 = _length("distance OSA to sample (µm)")
    a1 = _length("focal length per energy (µm/eV)")

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
            self.set_geometry(geometry)
        self.z.guard(self._check_z)

    def set_geometry(self, geometry: ZonePlateGeometry) -> None:
        """Say which zone plate and aperture are mounted, and where the sample is."""
        self.diameter.put(geometry.diameter_um)
        self.outer_zone.put(geometry.outer_zone_nm)
        self.central_stop.put(geometry.central_stop_um)
        self.osa_diameter.put(geometry.osa_diameter_um)
        self.a0.put(geometry.a0_um)
        self.a1.put(geometry.a1_um_per_ev)

    @property
    def geometry(self) -> ZonePlateGeometry:
        """The geometry as the signals say it now.

        Raises
        ------
        redoxscope.optics.InterlockError
            It is not set, or impossible.
        """
        self.check_set()
        return ZonePlateGeometry(
            diameter_um=self.diameter.get(),
            outer_zone_nm=self.outer_zone.get(),
            central_stop_um=self.central_stop.get(),
            osa_diameter_um=self.osa_diameter.get(),
            a0_um=self.a0.get(),
            a1_um_per_ev=self.a1.get(),
        )

    def refocused(self, a0_um: float, a1_um_per_ev: float) -> ZonePlateGeometry:
        """The geometry with another A0 (µm) and A1 (µm/eV), to be set where it is right.

        Raises
        ------
        redoxscope.optics.InterlockError
            There is none yet, or it would be impossible.
        """
        return replace(self.geometry, a0_um=a0_um, a1_um_per_ev=a1_um_per_ev)

    def check_set(self) -> None:
        """Refuse to go on without a geometry.

        Raises
        ------
        redoxscope.optics.InterlockError
            Names what is not set.
        """
        names = ("diameter", "outer_zone", "central_stop", "osa_diameter", "a0", "a1")
        missing = [name for name in names if not getattr(self, name).get() > 0]
        if missing:
            raise InterlockError(
                f"{self.name}: the zone plate's geometry is not set ({', '.join(missing)}), so "
                f"nothing near it may move: use a beamline file, or {typed(self)}.set_geometry("
                "ZonePlateGeometry(…))"
            )

    def _check_z(self, z_um: float) -> None:
        self.check_set()
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

    x = pv(Motor, "X", kind="normal", tolerance=0.5, doc="µm")
    y = pv(Motor, "Y", kind="normal", tolerance=0.5, doc="µm")
    z = pv(Motor, "Z", kind="normal", tolerance=0.5, doc="µm")


class FocusedEnergy(Positioner, Device):
    """Photon energy with the focus following it: monochromator, EPU and zone plate at once.

    Reads as the true photon energy, key ``energy`` (eV), which is a signal of the monochromator;
    to bluesky it is a part of it, so that a scan of it may read the monochromator, or the whole
    microscope, too.

    Parameters
    ----------
    name : str
    monochromator : Monochromator
    zone_plate : ZonePlate
    sample_z : Motor, optional
        What adds to the distance of the sample.
    defocus : Signal, optional
        Distance (µm) of the zone plate from where it focuses on the sample, positive downstream.
    """

    def __init__(
        self,
        *,
        name: str,
        monochromator: Monochromator,
        zone_plate: ZonePlate,
        sample_z: Motor | None = None,
        defocus: Signal | None = None,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"motors"})
        super().__init__("", name=name, parent=monochromator.energy, **kwargs)
        self._defocus = defocus
        self.monochromator = monochromator
        self.zone_plate = zone_plate
        self._sample_z = sample_z

    @property
    def position(self) -> float:
        """True photon energy (eV)."""
        return self.monochromator.position

    @property
    def egu(self) -> str:
        """Unit of the energy."""
        return "eV"

    @property
    def user_offset(self) -> Signal:
        """Offset (eV) of the user, which is the monochromator's."""
        return self.monochromator.user_offset

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest energy (eV) that are in reach and in focus as all stands now.

        NaN where nothing is allowed: without limits of a motor, or without a geometry.
        """
        mono, plate = self.monochromator.limits, self.zone_plate
        try:
            geometry, sample_z = plate.geometry, self._where_sample()
        except InterlockError:
            return math.nan, math.nan
        z_low, z_high = common_limits(plate.z.limits)
        a0, a1 = geometry.a0_um, geometry.a1
        clear = a0 * geometry.diameter_um / (geometry.osa_diameter_um * a1)
        focused = [a0, a0 + sample_z, a0 + sample_z + self._off]  # all three are checked
        lowest = max((max(focused) - z_high) / a1, clear,
                     (a0 + max(sample_z, 0.0) + MIN_GAP_UM) / a1)  # fmt: skip
        highest = (min(focused) - z_low) / a1
        return common_limits(mono, (lowest, highest))

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": [self.monochromator.energy.name]}

    def read(self) -> dict[str, Any]:
        return self.monochromator.energy.read()

    def describe(self) -> dict[str, Any]:
        return self.monochromator.energy.describe()

    def read_configuration(self) -> dict[str, Any]:
        return {
            **self.monochromator.read_configuration(),
            **self.zone_plate.read_configuration(),
        }

    def describe_configuration(self) -> dict[str, Any]:
        return {
            **self.monochromator.describe_configuration(),
            **self.zone_plate.describe_configuration(),
        }

    @property
    def _off(self) -> float:
        return 0.0 if self._defocus is None else float(self._defocus.get())

    def _where_sample(self) -> float:
        """Where the sample stands along the beam (µm), asked from the server now."""
        return 0.0 if self._sample_z is None else self._sample_z.here()

    def check_value(self, energy: float) -> None:
        """Refuse an energy (eV) against limits or geometry, before anything moves."""
        self._checked(energy)

    def _checked(self, energy: float) -> tuple[float, float]:
        """The energy (eV) and its focus (µm) where nothing speaks against them."""
        energy = number(self.name, energy, "eV")
        self.monochromator.check_value(energy)
        sample = self._where_sample()
        self.zone_plate.check([energy], sample_z_um=sample)
        return energy, focus_z(self.zone_plate.geometry, energy) + sample + self._off

    def focus(self, energy: float) -> float:
        """Where the zone plate goes (µm) at an energy (eV): in focus, or off it as asked."""
        return focus_z(self.zone_plate.geometry, energy) + self._where_sample() + self._off

    def _focus_seen(self, energy: float) -> float:
        """As `focus`, by the last monitor of where the sample stands."""
        sample = 0.0 if self._sample_z is None else float(self._sample_z.position)
        return focus_z(self.zone_plate.geometry, energy) + sample + self._off

    def time_to(self, target: float, start: float | None = None) -> float:
        """Time (s) that monochromator and zone plate declare for a move, in parallel.

        Parameters
        ----------
        target, start : float
            True energies (eV), both in focus; ``start`` is where all stands by default.

        Raises
        ------
        DeviceError
            One of them declares none.
        redoxscope.optics.InterlockError
            There is no geometry.
        """
        z, begin = self.zone_plate.z, None if start is None else self._focus_seen(start)
        focused = z.time_to(self._focus_seen(target), begin)
        return max(self.monochromator.time_to(target, start), focused)

    def set(self, energy: float) -> Status:
        """Move to a true photon energy (eV), in focus.

        Raises
        ------
        redoxscope.optics.InterlockError, ophyd.utils.LimitError
            Before anything moves.
        """
        energy, focus = self._checked(energy)
        here = partial(getattr, self, "position")
        way = Way(self.name, "eV", self.position, energy, self.time_to(energy), here)
        z = self.zone_plate.z
        focused = z.set(focus)  # first: it has a check of its own, against where the OSA is
        try:
            return watchable(both(self.monochromator.set(energy), focused), way)
        except Exception:
            z.stop(success=True)
            raise

    def at(self, energy: float) -> bool:
        """Whether everything stands where a true energy (eV) is in focus, by the last monitors."""
        off = abs(self.zone_plate.z.position - self._focus_seen(energy))
        tolerance = self.zone_plate.z.tolerance
        return self.monochromator.at(energy) and tolerance is not None and off <= tolerance

    def stop(self, *, success: bool = False) -> None:
        try:
            self.monochromator.stop(success=success)
        finally:  # one that does not answer must not keep the other moving
            self.zone_plate.z.stop(success=success)
