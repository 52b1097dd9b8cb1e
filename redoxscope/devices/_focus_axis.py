"""The zone plate along the beam, as an axis of a scan: off focus for as long as one asks."""

from __future__ import annotations

from ophyd import Signal
from ophyd.status import Status

from ._motor import Motor
from ._numbers import number
from ._optics import FocusedEnergy
from ._positioner import Positioner

__all__ = ["FocusAxis"]


class FocusAxis(Positioner):
    """Place of the zone plate (µm, 0 in the plane of the aperture) at the present energy.

    The motor itself can be moved, too, but then the energy takes the zone plate back into focus
    before the next image. What is set here is kept as a distance from focus, which the energy
    follows, until `nominal` is set.

    Parameters
    ----------
    energy : FocusedEnergy
    defocus : Signal
        Of that energy (µm).
    osa_z : Motor
        Where the aperture stands along the beam.
    """

    name = "zone_plate_z"
    parent = None

    def __init__(self, energy: FocusedEnergy, defocus: Signal, osa_z: Motor):
        self._energy, self._defocus, self._osa_z = energy, defocus, osa_z
        self._motor = energy.zone_plate.z

    def __repr__(self) -> str:
        return f"FocusAxis({self._motor.name})"

    @property
    def limits(self) -> tuple[float, float]:
        """Soft limits of the motor (µm)."""
        low, high = self._motor.limits
        return float(low), float(high)

    @property
    def position(self) -> float:
        """Where the zone plate is (µm)."""
        return float(self._motor.position)

    @property
    def tolerance(self) -> float | None:
        """Of the motor (µm)."""
        return self._motor.tolerance

    def here(self) -> float:
        """Where it is, asked from the server now (µm)."""
        return self._motor.here()

    def nominal(self, energy: float | None = None) -> float:
        """Where it is in focus (µm) at an energy (eV), by default the present one.

        Raises
        ------
        redoxscope.optics.InterlockError
            There is no geometry.
        """
        at = self._energy.position if energy is None else energy
        return self._energy.focus(at) - float(self._defocus.get())

    def nominal_on_aperture(self, energy: float) -> float:
        """Where it is in focus (µm) on the aperture at an energy (eV): a focal length before it.

        Raises
        ------
        redoxscope.optics.InterlockError
            There is no geometry.
        """
        return float(self._osa_z.here()) - self._energy.zone_plate.geometry.a1 * energy

    def check_value(self, z_um: float) -> None:
        """Refuse a place against limits or geometry.

        Raises
        ------
        ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
        """
        self._motor.check_value(number(self.name, z_um, "µm"))

    def time_to(self, target: float, start: float | None = None) -> float:
        """Time (s) of a move between places (µm)."""
        return self._motor.time_to(target, start)

    def set(self, z_um: float) -> Status:
        """Go there; the energy keeps this distance from focus.

        Raises
        ------
        ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
            Before anything moves.
        """
        z_um = number(self.name, z_um, "µm")
        self.check_value(z_um)
        away = z_um - self.nominal()
        move = self._motor.set(z_um)
        self._defocus.put(away)  # not where the move was refused: the next energy would be off
        return move

    def stop(self, *, success: bool = False) -> None:
        """Stop the motor."""
        self._motor.stop(success=success)
