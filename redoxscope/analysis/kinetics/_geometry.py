"""Where the ions go: into spheres, or into a plane electrode."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...inputs import as_number

__all__ = ["Geometry"]


@dataclass(frozen=True)
class Geometry:
    """Shape of what takes up the ions, as the formula of Weppner and Huggins needs it.

    Attributes
    ----------
    kind : {"sphere", "planar"}
    volume_per_area : float
        Volume of the active material over its surface (m): R/3, or m V_M/(M S).
    length : float
        Length over which ions spread (m): the radius, or the thickness L. The time of the
        measurement must be short against its square over D.
    """

    kind: str
    volume_per_area: float
    length: float

    @classmethod
    def sphere(cls, radius: float) -> Geometry:
        """Particles of one radius (m).

        Raises
        ------
        ValueError
            It is not positive.
        """
        radius = as_number("radius", radius, "m", above=0)
        return cls("sphere", radius / 3, radius)

    @classmethod
    def planar(cls, volume: float, area: float, thickness: float | None = None) -> Geometry:
        """A plane electrode.

        Parameters
        ----------
        volume : float
            Of the active material (m³): m V_M/M.
        area : float
            Its surface S (m²).
        thickness : float, optional
            L (m); volume over area where it is not given, for then it is a plate.

        Raises
        ------
        ValueError
            One of them is not positive.
        """
        volume = as_number("volume", volume, "m³", above=0)
        area = as_number("area", area, "m²", above=0)
        ratio = volume / area
        length = ratio if thickness is None else as_number("thickness", thickness, "m", above=0)
        return cls("planar", ratio, length)

    @property
    def window_limit(self) -> float:
        """Largest t D/L² at the end of the fit's window.

        Beyond it the voltage no longer goes with √t: by more than a fifth in a sphere, whose
        voltage bends from the beginning, by a few per cent in a plate.
        """
        return 0.05 if self.kind == "sphere" else 0.25

    def diffusivity(self, step_rate: float, slope: float) -> float:
        """D (m²/s) by Weppner and Huggins.

        D = 4/π (V/S)² [(ΔE_s/τ) / (dE/d√t)]²; for spheres V/S = R/3, and it reads
        4/(9π) R² […]².

        Parameters
        ----------
        step_rate : float
            Change of the voltage at rest over the length of the pulse, ΔE_s/τ (V/s).
        slope : float
            dE/d√t in the pulse (V/√s).

        Notes
        -----
        W. Weppner and R. A. Huggins, J. Electrochem. Soc. 124, 1569 (1977).
        """
        return 4 / math.pi * (self.volume_per_area * step_rate / slope) ** 2
