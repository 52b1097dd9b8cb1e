"""Shape and amount of the active material, from the options of the command."""

from __future__ import annotations

from dataclasses import dataclass

from ..analysis.kinetics import Geometry
from ._quantities import AREA, CAPACITY, LENGTH, MASS, MOLAR_MASS, MOLAR_VOLUME, quantity

__all__ = ["Material", "material"]

FARADAY = 96485.33212
"""C/mol, CODATA 2018."""


@dataclass(frozen=True)
class Material:
    """What is known of the active material.

    Attributes
    ----------
    geometry : Geometry
    formula : str
        How D is computed.
    capacity : float or None
        Capacity of the cell (C).
    moles : float or None
        Formula units in the electrode (mol).
    """

    geometry: Geometry
    formula: str
    capacity: float | None = None
    moles: float | None = None

    def lithium(self, charge: float) -> float | None:
        """Lithium taken out per formula unit after a charge (C)."""
        return None if self.moles is None else charge / (FARADAY * self.moles)


def material(
    *,
    radius: str | None = None,
    area: str | None = None,
    mass: str | None = None,
    molar_volume: str | None = None,
    molar_mass: str | None = None,
    thickness: str | None = None,
    capacity: str | None = None,
) -> Material:
    """Shape and amount of the active material.

    Parameters
    ----------
    radius : str, optional
        Of spheres, as ``1.8um``.
    area : str, optional
        Surface of a plane electrode, as ``12cm2``, or per mass as ``3.5m2/g``.
    mass, molar_volume, molar_mass, thickness, capacity : str, optional
        With their units.

    Raises
    ------
    ValueError
        Neither or both of radius and area; something is missing for the formula, or is not used
        by it; a number has no unit, or another.
    """
    if (radius is None) == (area is None):
        both = "both are given" if radius is not None else "neither is given"
        raise ValueError(
            "--radius (spheres) or --area (plane electrode) says what the ions go into; " + both
        )
    grams = None if mass is None else quantity("--mass", mass, MASS)[0]
    per_mol = None if molar_mass is None else quantity("--molar-mass", molar_mass, MOLAR_MASS)[0]
    coulombs = None if capacity is None else quantity("--capacity", capacity, CAPACITY)[0]
    moles = None if grams is None or per_mol is None else grams / per_mol
    if radius is not None:
        if (mass is None) != (molar_mass is None):
            raise ValueError(
                "--mass and --molar-mass go together: they give the lithium per formula unit"
            )
        for name, value in (("--molar-volume", molar_volume), ("--thickness", thickness)):
            if value is not None:
                raise ValueError(f"{name} is for a plane electrode (--area), not for spheres")
        sphere = Geometry.sphere(quantity("--radius", radius, LENGTH)[0])
        formula = "D = 4/(9 pi) R^2 [(dE_s/tau) / (dE/d sqrt t)]^2"
        return Material(sphere, formula, coulombs, moles)
    assert area is not None
    surface, unit = quantity("--area", area, AREA)
    by_mass = unit.endswith("/g")
    missing = [
        name
        for name, value in (
            ("--molar-volume", molar_volume),
            ("--molar-mass", molar_mass),
            ("--mass", "" if by_mass else mass),
        )
        if value is None
    ]
    if missing:
        raise ValueError(
            f"--area = {area} needs {' and '.join(missing)} too: "
            "D = 4/pi (m V_M/(M S))^2 [(dE_s/tau) / (dE/d sqrt t)]^2"
        )
    assert molar_volume is not None and per_mol is not None
    per_kg = quantity("--molar-volume", molar_volume, MOLAR_VOLUME)[0] / per_mol
    length = None if thickness is None else quantity("--thickness", thickness, LENGTH)[0]
    volume = per_kg if by_mass else per_kg * (grams or 0.0)
    planar = Geometry.planar(volume, surface, length)
    formula = "D = 4/pi (m V_M/(M S))^2 [(dE_s/tau) / (dE/d sqrt t)]^2"
    return Material(planar, formula, coulombs, moles)
