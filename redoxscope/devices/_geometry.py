"""What the optics may do: zone plate, aperture and sample do not meet, energies are in focus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ._monochromator import Monochromator
from ._optics import FocusedEnergy, OrderSortingAperture, ZonePlate, check_gap
from ._stage import SampleStage

__all__ = ["Geometry"]


@dataclass(frozen=True)
class Geometry:
    """Limits and geometry of optics and sample, from what they say now.

    The same checks guard each motor's own ``set`` (`guard`), and a scan's energies.
    """

    monochromator: Monochromator
    zone_plate: ZonePlate
    osa: OrderSortingAperture
    sample_stage: SampleStage
    energy: FocusedEnergy

    def guard(self) -> None:
        """Have the motors along the beam refuse what would make parts meet."""
        self.zone_plate.z.guard(self.check_zone_plate_z)
        self.osa.z.guard(self.check_osa_z)
        self.sample_stage.z.guard(self.check_sample_z)

    def check_zone_plate_z(self, z_um: float) -> None:
        """Refuse a place of the zone plate (µm) at which it meets the aperture."""
        self.zone_plate.check_set()
        gap = self.osa.z.here() - z_um
        check_gap(self.zone_plate.z.name, z_um, "zone plate and order-sorting aperture", gap)

    def check_osa_z(self, z_um: float) -> None:
        """Refuse a place of the aperture (µm) at which it meets sample or zone plate."""
        self.zone_plate.check_set()
        name, sample = self.osa.z.name, self.zone_plate.a0.get() + self.sample_stage.z.here()
        check_gap(name, z_um, "order-sorting aperture and sample", sample - z_um)
        gap = z_um - self.zone_plate.z.here()
        check_gap(name, z_um, "zone plate and order-sorting aperture", gap)

    def check_sample_z(self, z_um: float) -> None:
        """Refuse a place of the sample (µm) at which it meets the aperture."""
        self.zone_plate.check_set()
        # The gap only: with A0 outside its window the sample must still be able to retreat.
        gap = self.zone_plate.a0.get() + z_um - self.osa.z.here()
        check_gap(self.sample_stage.z.name, z_um, "order-sorting aperture and sample", gap)

    def energy_checks(
        self, energies: Sequence[float], edge: str | None
    ) -> Iterator[Callable[[], Any]]:
        """Checks of all energies (true, eV) of a scan: each raises what speaks against it."""
        offset = self.monochromator.offset_at(edge)
        for energy in energies:
            yield partial(self.monochromator.check_value, energy, offset=offset)
        sample_z: list[float] = []
        yield lambda: sample_z.append(self.sample_stage.z.here())
        for energy in sorted(energies):  # the lowest first: it decides where the aperture may be
            yield partial(self._check_focus, energy, sample_z)
        yield lambda: self.check_osa_z(self.osa.z.here())
        for energy in (min(energies), max(energies)):
            yield partial(self._check_focused, energy)

    def _check_focus(self, energy: float, sample_z: list[float]) -> None:
        for z in sample_z:  # none where it did not answer, which was raised before
            self.zone_plate.check([energy], sample_z_um=z)

    def _check_focused(self, energy: float) -> None:
        focus = self.energy.focus(energy)
        self.check_zone_plate_z(focus)
        self.zone_plate.z.check_value(focus)  # its limits, also off focus
